// The columns that the list can show. `keep` says how long a column stays where the list is narrow: the highest longest.
import { address } from "./address.js";
import { h, s } from "./dom.js";
import { bare, largeMoney, number, percent, price, signed, words } from "./format.js";
import { isStarred, noteOf } from "./marks.js";
import { isSelected, select, toggleStar } from "./selection.js";

export const COLUMNS = [
  { key: "symbol", head: "Symbol", kind: "text", keep: 99, cell: nameCell },
  { key: "sector", head: "Sector", kind: "text sector", keep: 1, cell: sectorCell },
  { key: "state", head: "State", kind: "text", keep: 7, term: "state", cell: (row) => (row.state ? chip(row.state) : null) },
  { key: "score", head: "Score", keep: 6, cell: (row) => number(row.score, 0) },
  { key: "rating", head: "RS", keep: 8, term: "RS", cell: (row) => row.rating ?? "–" },
  { key: "footprint", head: "Footprint", keep: 3, term: "footprint", cell: (row) => row.footprint ?? "–" },
  { key: "close", head: "Close", keep: 5, cell: (row) => price(row.close) },
  { key: "pivot", head: "Pivot", keep: 0, term: "pivot", cell: (row) => price(row.pivot) },
  { key: "to_pivot_pct", head: "To pivot", keep: 98, term: "distance to the pivot", cell: (row) => signed(row.to_pivot_pct) },
  { key: "risk_pct", head: "To stop", keep: 9, term: "distance to the stop", cell: (row) => percent(row.risk_pct) },
  { key: "risk", head: "Risk", keep: 2, term: "risk", cell: riskCell },
  { key: "change_pct", head: "Change", optional: true, cell: changeCell },
  { key: "stop", head: "Stop", optional: true, term: "stop", cell: (row) => price(row.stop) },
  { key: "adr_pct", head: "ADR", optional: true, term: "ADR", cell: (row) => percent(row.adr_pct) },
  { key: "turnover", head: "Turnover", optional: true, term: "turnover", cell: (row) => largeMoney(row.turnover) },
  { key: "sector_rank", head: "Sector rank", optional: true, term: "sector rank", cell: (row) => row.sector_rank ?? "–" },
  { key: "delivery_pct", head: "Delivery", optional: true, term: "delivery", cell: (row) => percent(row.delivery_pct) },
  { key: "sessions_in_group", head: "In group", optional: true, term: "sessions in the group", cell: groupCell },
  { key: "weeks", head: "Weeks", optional: true, cell: (row) => row.weeks ?? "–" },
  { key: "results_in_sessions", head: "Results in", optional: true, cell: (row) => row.results_in_sessions ?? "–" },
  { key: "note", head: "Note", kind: "text note", optional: true, unsorted: true, cell: (row) => noteOf(row.symbol) },
  { key: "spark", head: "Trend", keep: 4, unsorted: true, cell: (row) => spark(row.spark) },
];
const BELOW_CHARACTERS = 34;
const USUAL = COLUMNS.filter((column) => !column.optional);

export const columnOf = (key) => COLUMNS.find((column) => column.key === key);

export function wanted(keys) {
  const chosen = (keys ?? []).map(columnOf).filter(Boolean);
  return chosen.length ? [COLUMNS[0], ...chosen.filter((column) => column !== COLUMNS[0])] : USUAL;
}

// Of the columns with these widths those that fit: what matters least goes first.
export function fitting(columns, widths, space) {
  const kept = new Set(columns);
  let taken = widths.reduce((sum, width) => sum + width, 0);
  for (const column of [...columns].sort((a, b) => a.keep - b.keep)) {
    if (taken <= space || kept.size <= 2) break;
    kept.delete(column);
    taken -= widths[columns.indexOf(column)];
  }
  return columns.filter((column) => kept.has(column));
}

export const chip = (name) => h("span", { class: `chip ${name}` }, words(name));

// Choice, star and name; below them the footprint, or why the row is where it is, which is shown on every width.
function nameCell(row) {
  const title = row.tolerances.join("\n") || row.group_reason || row.why_not;
  const happened = row.news.length ? h("span", { class: "dot", title: row.news.map(words).join(", ") }, " ●") : null;
  const isPlain = row.group === "setup" && !row.tolerances.length;
  const below = [aboutRow(row), row.provisional ? "provisional" : null].filter(Boolean).join(" · ").slice(0, BELOW_CHARACTERS);
  return [
    selectBox(row.symbol),
    star(row.symbol),
    h("a", { href: address(row.symbol), title }, bare(row.symbol)),
    happened,
    h("small", { title, class: isPlain ? null : "shown" }, row.state ? chip(row.state) : null, below),
  ];
}

function aboutRow(row) {
  if (row.tolerances.length) return "by tolerance";
  return row.group === "setup" ? row.footprint : row.group_reason ?? row.footprint ?? row.why_not;
}

function selectBox(symbol) {
  const onchange = (event) => select(symbol, event.target.checked);
  return h("input", { type: "checkbox", class: "pick", "aria-label": `Select ${bare(symbol)}`, checked: isSelected(symbol), onchange });
}

function riskCell(row) {
  return row.band ? h("span", { class: `chip ${row.band}` }, row.band) : "–";
}

function changeCell(row) {
  return h("span", { class: row.change_pct < 0 ? "down" : "up" }, signed(row.change_pct));
}

function groupCell(row) {
  return row.sessions_in_group ?? "–";
}

export function star(symbol) {
  const attributes = { type: "button", class: "star", "aria-label": `Star ${bare(symbol)}`, title: "Star (s)" };
  const button = h("button", { ...attributes, onclick: () => toggleStar(symbol) });
  showStar(button, symbol);
  return button;
}

export function showStar(button, symbol) {
  button.setAttribute("aria-pressed", String(isStarred(symbol)));
  button.textContent = isStarred(symbol) ? "★" : "☆";
}

// The sector and its rank among the sectors, where it has one.
function sectorCell(row) {
  if (!row.sector) return "–";
  return row.sector_rank === null ? row.sector : h("span", { title: row.sector_text }, `${row.sector} · ${row.sector_rank}`);
}

function spark(steps) {
  if (steps.length < 2) return null;
  const x = (at) => (at * 92) / (steps.length - 1);
  const y = (step) => 22 - step * 0.2;
  const line = steps.map((step, at) => `${at ? "L" : "M"}${x(at).toFixed(1)} ${y(step).toFixed(1)}`).join("");
  return s("svg", { class: "spark", viewBox: "0 0 92 24", "aria-hidden": "true" },
    s("path", { d: line }), s("circle", { cx: 92, cy: y(steps.at(-1)), r: 1.8 }));
}
