// Why a symbol is a setup or is none: gates, contractions and events, the parts of its score and of its risk.
import { byId, h, meter } from "./dom.js";
import { day, largeMoney, number, percent, price, shortDay, words } from "./format.js";
import { term } from "./glossary.js";
import { current } from "./table.js";

const EVENTS_SHOWN = 8;

const cells = (texts) => texts.map((text) => h("td", {}, text));
const named = ([name, value]) => h("tr", {}, h("td", { class: "muted" }, name), h("td", {}, value));

export function verdict(setup, lines) {
  const title = setup.group === "setup" ? "Why it is a setup" : setup.group ? "Why it is no setup now" : "Why it is no setup";
  return h("div", { class: "block sentence" }, h("h3", {}, title), h("p", {}, reason(setup)), lines.length ? everyGate(lines) : null);
}

function reason(setup) {
  const ofGroup = setup.tolerances.join("; ") || setup.group_reason;
  return ofGroup ?? setup.nearest_miss ?? setup.reason ?? (setup.passed ? "Every gate holds." : "Not every gate holds.");
}

function everyGate(lines) {
  const isOpen = byId("detail").querySelector(".sentence details")?.open ?? false;
  return h("details", { open: isOpen }, h("summary", { class: "muted" }, "Every gate in words"),
    h("ul", { class: "lines" }, lines.map((line) => h("li", {}, line))));
}

// Those that fail come first, then those that are unknown.
export function gates(setup) {
  const rank = ([, gate]) => (gate.passed === false ? 0 : gate.passed === null ? 1 : 2);
  const entries = Object.entries(setup.gates).sort((a, b) => rank(a) - rank(b));
  const holding = entries.filter(([, gate]) => gate.passed).length;
  return h("div", {},
    h("h3", {}, term("gate", "Gates"), ` · ${holding} of ${entries.length} hold`, h("span", { class: "units" }, "seen / needed")),
    entries.map(([name, gate]) => h("div", { class: "gate" }, gateSign(gate.passed), h("span", {}, gateName(name)),
      h("span", { class: "value" }, `${shownValue(gate.value)} / ${shownValue(gate.threshold)}`))));
}

function gateSign(passed) {
  if (passed === null) return h("span", { class: "mark amber", "aria-label": "unknown" }, "?");
  return h("span", { class: `mark ${passed ? "up" : "down"}`, "aria-label": passed ? "holds" : "fails" }, passed ? "✓" : "✗");
}

const gateName = (name) => words(name).replace(/sma(\d+)/g, "SMA$1").replace(/\brs\b/, "RS").replace(/(SMA\d+) (SMA\d+)$/, "$1 and $2");

function shownValue(value) {
  if (value === null) return "?";
  return typeof value === "number" ? number(value, Number.isInteger(value) ? 0 : 2) : value;
}

export function legs(setup, events) {
  const rows = setup.contractions.map((leg) => h("tr", {},
    cells([`${shortDay(leg.high_date)} – ${shortDay(leg.low_date)}`, price(leg.high), price(leg.low), percent(leg.depth_pct)])));
  const heads = ["from – to", "high", "low", "depth"].map((name) => h("th", { scope: "col" }, name));
  const life = events.slice(-EVENTS_SHOWN).map(eventLine);
  return h("div", {}, h("h3", {}, term("contraction", "Contractions")),
    rows.length ? h("table", { class: "small" }, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, rows))
      : h("p", { class: "muted" }, "No base that contracts."),
    life.length ? [h("br"), h("h3", {}, "Events"), h("ul", { class: "lines" }, life)] : null);
}

const eventLine = (event) => h("li", {}, h("span", { class: "muted" }, `${shortDay(event.session)}  `), words(event.kind),
  ` at ${price(event.price)}`, event.detail ? h("span", { class: "muted" }, ` · ${event.detail}`) : null);

// Points in figures, without bars: a full bar would look like a sure gain.
export function scoreParts(setup) {
  const rows = Object.entries(setup.components).map(([name, value]) => named([words(name), number(value, 1)]));
  const sum = h("tr", {}, cells(["sum, capped by state", number(setup.score, 0)]));
  return h("div", {}, h("h3", {}, "Score", h("span", { class: "units" }, "points")),
    rows.length ? h("table", { class: "small" }, h("tbody", {}, rows, sum)) : h("p", { class: "muted" }, "Only bases are scored."),
    h("p", { class: "muted" }, current()?.score_note ?? ""));
}

export function riskParts(score) {
  if (!score || score.score === null) {
    return h("div", {}, h("h3", {}, "Risk"), h("p", { class: "muted" }, score?.reason ?? "Not scored yet."));
  }
  return h("div", {}, h("h3", {}, `Risk · ${score.band} · ${number(score.score, 0)}`),
    h("div", { class: "bars" }, Object.entries(score.components).map(componentBar)),
    h("table", { class: "small" }, h("tbody", {}, riskNumbers(score.metrics).map(named))),
    h("p", { class: "muted" }, `after ${day(score.as_of)}; 100 is the riskiest of the universe`));
}

function componentBar([name, value]) {
  const tone = value >= 80 ? "extreme" : value >= 60 ? "elevated" : value >= 40 ? "moderate" : "low";
  return h("div", { class: `bar ${tone}` }, h("span", {}, words(name)), meter(value), h("span", {}, number(value, 0)));
}

const riskNumbers = (metrics) => [
  ["Volatility, year", percent(100 * metrics.annual_volatility)], ["Deepest fall", percent(100 * metrics.max_drawdown)],
  ["Beta", number(metrics.beta, 2)], ["ATR 14", percent(metrics.atr14_pct)],
  ["Traded a day", metrics.median_traded_value ? largeMoney(metrics.median_traded_value) : "–"],
];
