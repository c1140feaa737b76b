// What is known of a held lot beyond its row: its base, the ways down to stop and averages, excursions, every rule.
import { h } from "./dom.js";
import { bare, inR, percent, price, shortDay, whole, words } from "./format.js";

const opened = new Set(); // the numbers of the lots whose details are shown

// The button that shows them, and the row below; both are made anew with the table, what is open stays open.
export function lotDetails(position, columns) {
  const { lot } = position.measures;
  const isOpen = opened.has(lot.number);
  const row = h("tr", { class: "lot-detail", hidden: !isOpen }, h("td", { colspan: columns }, h("dl", {}, facts(position).map(fact)), rules(position)));
  const label = `Details of ${bare(lot.symbol)}, lot ${lot.number}`;
  const toggle = (event) => {
    row.hidden = !row.hidden;
    opened[row.hidden ? "delete" : "add"](lot.number);
    mark(event.currentTarget, !row.hidden);
  };
  const button = h("button", { type: "button", class: "plain", "aria-label": label, onclick: toggle });
  mark(button, isOpen);
  return { button, row };
}

function mark(button, isOpen) {
  button.setAttribute("aria-expanded", String(isOpen));
  button.textContent = isOpen ? "▾" : "▸";
}

const fact = ([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, text));

function facts({ measures, notes, stop, to_stop_pct: toStop, to_averages_pct: toAverages, bought_footprint: footprint, next_rule: next }) {
  const { lot, averages } = measures;
  return [
    ["Bought from", footprint ?? "no base known"],
    ["Its base now", notes.base_state ? [words(notes.base_state), notes.footprint].filter(Boolean).join(", ") : "no base known"],
    ["Held", measures.sessions_held === null ? "since an unknown day" : `${whole(measures.sessions_held)} sessions`],
    ["Initial stop", lot.stop === null ? "none" : withDistance(lot.stop, 100 * (1 - lot.stop / measures.close))],
    ["Stop now", stop === null ? "none under the close" : withDistance(stop, toStop)],
    ["Next rule", next === null ? "none" : `${ruleInWords(next)}: ${next.text}`],
    ["Best and worst", measures.best_r === null ? `${price(measures.highest)} and ${price(measures.lowest)}` : `${inR(measures.best_r)} R and ${inR(-measures.worst_r)} R`],
    ...Object.entries(averages).map(([length, value]) => [`${length}-session average`, withDistance(value, toAverages[length])]),
    ...(lot.note ? [["Note", lot.note]] : []),
    ...(notes.results_in_sessions === null ? [] : [["Results", `in ${whole(notes.results_in_sessions)} sessions`]]),
  ];
}

const withDistance = (value, below) => `${price(value)}, ${percent(Math.abs(below))} ${below < 0 ? "above" : "below"} the close`;

const rules = (position) => h("ul", { class: "lines" }, position.rules.map((rule) =>
  h("li", { class: rule.fires ? "down" : null }, `${ruleInWords(rule)} – ${rule.text}`)));

export function ruleInWords(rule) {
  if (rule === null) return "–";
  return `${rule.fires ? "sell: " : ""}${words(rule.name)}${rule.level === null ? "" : ` at ${price(rule.level)}`}`;
}

export const dayOf = (lot) => (lot.opened ? shortDay(lot.opened) : "unknown");
