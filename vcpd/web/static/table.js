// The table of setups: sorted by its column heads, filtered while typing, drawn a screenful at a time.
import { get } from "./api.js";
import { byId, h, notice, s, errorNotice } from "./dom.js";
import { bare, number, percent, price, shortDay, signed, words } from "./format.js";

const ROWS_A_TURN = 120;
const STATES = ["NEAR_PIVOT", "FORMING", "UNDER_STOP", "BREAKOUT", "EXTENDED", "SQUAT", "FAILED", "EXPIRED"];
const GROUPS = new Map([
  ["setup", ["Setups", "Open, and every gate holds: strictly, or by its tolerance to stay."]],
  ["followed", ["Followed", "Sound bases that left the setups or closed under their stop."]],
  ["above_pivot", ["Above pivot", "Broke out in the last ten sessions, squats included."]],
  ["ended", ["Ended", "Bases that ended at this session."]],
]);
const COLUMNS = [
  { key: "symbol", head: "Symbol", kind: "text", cell: nameCell },
  { key: "sector", head: "Sector", kind: "text wide sector", cell: (row) => sectorText(row) },
  { key: "state", head: "State", kind: "text state", cell: (row) => (row.state ? chip(row.state) : null) },
  { key: "score", head: "Score", cell: (row) => number(row.score, 0) },
  { key: "rating", head: "RS", kind: "rating", cell: (row) => row.rating ?? "–" },
  { key: "footprint", head: "Footprint", kind: "mid", cell: (row) => row.footprint ?? "–" },
  { key: "close", head: "Close", kind: "mid", cell: (row) => price(row.close) },
  { key: "pivot", head: "Pivot", kind: "wide", cell: (row) => price(row.pivot) },
  { key: "to_pivot_pct", head: "To pivot", cell: (row) => signed(row.to_pivot_pct) },
  { key: "risk_pct", head: "To stop", kind: "state", cell: (row) => percent(row.risk_pct) },
  { key: "risk", head: "Risk", kind: "mid", cell: (row) => (row.band ? h("span", { class: `chip ${row.band}` }, row.band) : "–") },
  { key: null, head: "Trend", cell: (row) => spark(row.spark) },
];

const shown = { group: "setup", sort: "to_pivot_pct", descending: false, states: new Set(), text: "", sector: "", score: 0, rating: 0, passed: false, all: false };
let board = null;
let selected = null;
let drawn = [];
let more = null;

const live = new Map();
const PRICE = COLUMNS.findIndex((column) => column.key === "close");
const GAP = COLUMNS.findIndex((column) => column.key === "to_pivot_pct");

export const symbols = () => (board?.items ?? []).map((row) => row.symbol);
export const current = () => board;

export async function load() {
  const frame = byId("table-frame");
  if (board === null) frame.replaceChildren(skeletonTable());
  try {
    board = await get(shown.all ? "api/board?all=1" : "api/board");
  } catch (error) {
    if (board === null) frame.replaceChildren(errorNotice(error, load));
    throw error;
  }
  drawFilters();
  draw();
  return board;
}

export function select(symbol) {
  selected = symbol;
  for (const row of document.querySelectorAll(".board tbody tr")) {
    row.setAttribute("aria-selected", String(row.dataset.symbol === symbol));
  }
}

export function step(by) {
  if (!drawn.length) return null;
  const at = drawn.findIndex((row) => row.symbol === selected);
  return drawn[Math.max(0, Math.min(drawn.length - 1, at + by))].symbol;
}

export function listen() {
  const bind = (id, event, change) => byId(id).addEventListener(event, (e) => { change(e.target); draw(); });
  bind("filter-text", "input", (field) => { shown.text = field.value.trim().toUpperCase(); });
  bind("filter-sector", "change", (field) => { shown.sector = field.value; });
  bind("filter-score", "input", (field) => { shown.score = Number(field.value) || 0; });
  bind("filter-rating", "input", (field) => { shown.rating = Number(field.value) || 0; });
  bind("filter-passed", "change", (field) => { shown.passed = field.checked; });
  byId("filter-all").addEventListener("change", (e) => { shown.all = e.target.checked; load().catch(() => {}); });
  byId("filters").addEventListener("submit", (e) => e.preventDefault());
}

const inGroup = (row) => shown.all || row.group === shown.group;

function keeps(row) {
  return inGroup(row) && (shown.states.size === 0 || shown.states.has(row.state)) && row.score >= shown.score
    && (shown.rating === 0 || (row.rating ?? 0) >= shown.rating) && (!shown.passed || row.passed)
    && (!shown.sector || row.sector === shown.sector) && row.symbol.includes(shown.text);
}

// Of the distance to the pivot its size, so that what is nearest comes first, above the pivot as well.
function sortValue(row) {
  const value = row[shown.sort];
  return shown.sort === "to_pivot_pct" && typeof value === "number" ? Math.abs(value) : value;
}

function order(a, b) {
  const [x, y] = [sortValue(a), sortValue(b)];
  if (x === y) return a.symbol < b.symbol ? -1 : 1;
  if (x === null || x === undefined) return 1;
  if (y === null || y === undefined) return -1;
  return (x < y ? -1 : 1) * (shown.descending ? -1 : 1);
}

function draw() {
  if (board === null) return;
  drawn = board.items.filter(keeps).sort(order);
  const body = h("tbody", {});
  more?.disconnect();
  const frame = byId("table-frame");
  const top = frame.scrollTop;
  if (drawn.length === 0) frame.replaceChildren(emptiness());
  else {
    frame.replaceChildren(h("table", { class: "board" }, h("caption", { class: "skip" }, caption()), heads(), body));
    addRows(body, 0);
  }
  frame.scrollTop = top;
}

const caption = () => `${drawn.length} of ${board.items.filter(inGroup).length} ${shown.all ? "symbols" : groupName(shown.group)} after ${board.as_of}`;

function addRows(body, from) {
  const until = Math.min(from + ROWS_A_TURN, drawn.length);
  body.append(...drawn.slice(from, until).map(rowOf));
  if (until === drawn.length) return;
  more = new IntersectionObserver((seen) => {
    if (!seen.some((one) => one.isIntersecting)) return;
    more.disconnect();
    addRows(body, until);
  }, { rootMargin: "600px" });
  more.observe(body.lastElementChild);
}

function heads() {
  return h("thead", {}, h("tr", {}, COLUMNS.map((column) => h("th", {
    scope: "col", class: column.kind,
    "aria-sort": column.key && column.key === shown.sort ? (shown.descending ? "descending" : "ascending") : null,
  }, column.key ? h("button", { type: "button", "data-key": column.key, title: column.key === "score" ? board.score_note : null, onclick: () => sortBy(column) }, column.head)
    : h("button", { type: "button", tabindex: -1, disabled: true }, column.head)))));
}

function sortBy(column) {
  shown.descending = shown.sort === column.key ? !shown.descending : !column.kind?.includes("text") && column.key !== "to_pivot_pct";
  shown.sort = column.key;
  draw();
  document.querySelector(`.board th button[data-key="${column.key}"]`)?.focus();
}

// Prices of the running session in place of the last close, without moving a row.
export function quote(items) {
  const over = live.size > 0 && items.length === 0;
  live.clear();
  for (const item of items) if (item.price !== null) live.set(item.symbol, item);
  if (over) draw();
  else for (const row of document.querySelectorAll(".board tbody tr[data-symbol]")) enliven(row);
}

function enliven(row) {
  const item = live.get(row.dataset.symbol);
  if (!item) return row;
  for (const [at, text] of [[PRICE, price(item.price)], [GAP, signed(item.to_pivot_pct)]]) {
    if (row.cells[at].textContent !== text) row.cells[at].textContent = text;
    row.cells[at].classList.add("now");
    row.cells[at].title = "live, provisional until the close";
  }
  return row;
}

function rowOf(row) {
  const open = (event) => { if (!event.target.closest("a")) location.hash = address(row.symbol); };
  return enliven(h("tr", { "data-symbol": row.symbol, "aria-selected": String(row.symbol === selected), onclick: open },
    COLUMNS.map((column) => h("td", { class: column.kind }, column.cell(row)))));
}

export const address = (symbol) => `#/setups/${encodeURIComponent(symbol)}`;

function nameCell(row) {
  const news = row.news.length ? h("span", { class: "dot", title: row.news.map(words).join(", ") }, " ●") : null;
  const about = row.tolerances.length ? "by tolerance" : row.group === "setup" ? row.footprint : row.group_reason ?? row.footprint ?? row.why_not;
  const below = [about, row.provisional ? "provisional" : null].filter(Boolean).join(" · ");
  const title = row.tolerances.join("\n") || row.group_reason || row.why_not;
  return [h("a", { href: address(row.symbol), title }, bare(row.symbol)), news, h("small", { title, class: row.group === "setup" && !row.tolerances.length ? null : "shown" }, row.state ? chip(row.state) : null, below.slice(0, 34))];
}

export const chip = (name) => h("span", { class: `chip ${name}` }, words(name));

function spark(steps) {
  if (steps.length < 2) return null;
  const x = (at) => (at * 92) / (steps.length - 1);
  const y = (step) => 22 - step * 0.2;
  const line = steps.map((step, at) => `${at ? "L" : "M"}${x(at).toFixed(1)} ${y(step).toFixed(1)}`).join("");
  return s("svg", { class: "spark", viewBox: "0 0 92 24", "aria-hidden": "true" },
    s("path", { d: line }), s("circle", { cx: 92, cy: y(steps.at(-1)), r: 1.8 }));
}

const groupName = (group) => GROUPS.get(group)[0].toLowerCase();

function drawFilters() {
  drawGroups();
  drawStates();
  drawSectors();
}

// The sector and its rank among the sectors, where it has one.
function sectorText(row) {
  if (!row.sector) return "–";
  return row.sector_rank === null ? row.sector : h("span", { title: row.sector_text }, `${row.sector} · ${row.sector_rank}`);
}

function marketNote() {
  const { market } = board;
  return market ? h("a", { href: "#/market", class: "muted", id: "market-note" }, `Market: ${words(market.term)}${market.since ? ` since ${shortDay(market.since)}` : ""}`) : null;
}

function drawGroups() {
  byId("groups").replaceChildren(...[...GROUPS].map(([group, [name, title]]) => h("button", {
    type: "button", "aria-pressed": String(!shown.all && shown.group === group), "data-group": group, title, onclick: () => showGroup(group),
  }, name, h("b", {}, board.groups[group]))), ...[marketNote()].filter(Boolean));
}

function showGroup(group) {
  const reload = shown.all;
  Object.assign(shown, { group, all: false });
  shown.states.clear();
  byId("filter-all").checked = false;
  drawFilters();
  draw();
  document.querySelector(`#groups [data-group="${group}"]`)?.focus();
  if (reload) load().catch(() => {});
}

function drawStates() {
  const rows = board.items.filter(inGroup);
  const counts = Map.groupBy ? Map.groupBy(rows, (row) => row.state) : new Map();
  byId("states").replaceChildren(...STATES.filter((state) => counts.has(state)).map((state) => h("button", {
    type: "button", "aria-pressed": String(shown.states.has(state)), "data-state": state, onclick: () => toggle(state),
  }, words(state), h("b", {}, counts.get(state).length))));
}

// Hidden where no list gives sectors; the chosen one stays even when no setup belongs to it.
function drawSectors() {
  const counts = new Map(shown.sector ? [[shown.sector, 0]] : []);
  for (const { sector } of board.items) if (sector) counts.set(sector, (counts.get(sector) ?? 0) + 1);
  const field = byId("filter-sector");
  field.hidden = counts.size === 0;
  field.replaceChildren(h("option", { value: "" }, "Any sector"), ...[...counts].sort().map(([sector, count]) =>
    h("option", { value: sector, selected: sector === shown.sector }, `${sector} · ${count}`)));
}

function toggle(state) {
  if (!shown.states.delete(state)) shown.states.add(state);
  drawStates();
  draw();
  document.querySelector(`#states [data-state="${state}"]`)?.focus();
}

function emptiness() {
  if (board.as_of === null) return notice("No screen has run yet", "The first collection and screen are under way; this page updates by itself.");
  const hidden = board.items.filter(inGroup).length;
  if (hidden) return notice("No row passes these filters", `${hidden} are hidden by them.`, h("button", { type: "button", onclick: clear }, "Clear the filters"));
  const others = [...GROUPS.keys()].filter((group) => group !== shown.group && board.groups[group]).map((group) => `${board.groups[group]} ${groupName(group)}`);
  return notice(`None in ${groupName(shown.group)}`, `${board.judged} symbols were screened${others.length ? `; ${others.join(", ")}` : ""}.`);
}

function clear() {
  Object.assign(shown, { text: "", sector: "", score: 0, rating: 0, passed: false });
  shown.states.clear();
  for (const id of ["filter-text", "filter-sector", "filter-score", "filter-rating"]) byId(id).value = "";
  byId("filter-passed").checked = false;
  drawStates();
  draw();
}

function skeletonTable() {
  const row = () => h("tr", {}, COLUMNS.map((column) => h("td", { class: column.kind }, h("span", { class: "skeleton" }))));
  return h("table", { class: "board", "aria-busy": "true" }, h("tbody", {}, Array.from({ length: 14 }, row)));
}
