// A symbol in figures: its levels, what surrounds it, what is published of the company, and the signs of the chart.
import { h } from "./dom.js";
import { MARKED, largeMoney, number, percent, price, shortDay, words } from "./format.js";
import { term } from "./glossary.js";
import { holdingInWords } from "./holding.js";

const TERMS = {
  Footprint: "footprint", Pivot: "pivot", "Buy zone": "buy zone", Stop: "stop", "Structural stop": "structural stop", RS: "RS",
  Sector: "sector rank", Market: "regime", Delivery: "delivery", Risk: "risk",
};
const AVERAGES = [["sma50", "SMA 50"], ["sma150", "SMA 150"], ["sma200", "SMA 200"]];
const LEVELS = [["leg", "contractions"], ["pivot", "pivot"], ["zone", "buy zone"], ["stop", "stop"]];

// What is unknown is not shown.
export function facts(setup, score) {
  const pairs = [...levels(setup), ...surroundings(setup), ...published(setup.facts), ...judged(setup, score)];
  return h("dl", { class: "facts" }, pairs.filter(([, value]) => value).map(([name, value]) =>
    h("div", {}, h("dt", {}, term(TERMS[name] ?? "", name)), h("dd", {}, String(value)))));
}

function levels(setup) {
  const withRisk = (stop, risk) => stop && `${price(stop)} (${percent(risk)})`;
  return [
    ["Footprint", setup.footprint], ["Pivot", setup.pivot && price(setup.pivot)],
    ["Buy zone", setup.buy_zone && setup.buy_zone.map(price).join(" – ")], ["Stop", withRisk(setup.stop, setup.risk_pct)],
    ["Structural stop", withRisk(setup.structural_stop, setup.structural_risk_pct)],
    ["Pivot before", setup.previous_pivot && price(setup.previous_pivot)], ["RS", setup.rs_rating],
  ];
}

const judged = (setup, score) => [
  ["Risk", score?.band && `${number(score.score, 0)} ${score.band}`],
  ["Session", shortDay(setup.as_of)],
];

// The company's sector and industry with their ranks, and what the market does.
function surroundings(setup) {
  const market = setup.market_context;
  if (!market) return [["Sector", setup.sector]];
  const ranked = (name, rank, count) => name && (rank ? `${name}, ${rank} of ${count}` : name);
  return [
    ["Sector", ranked(setup.sector, market.sector_rank, market.sectors_ranked)],
    ["Industry", ranked(market.industry, market.industry_rank, market.industries_ranked)],
    ["Market", `${words(market.term)}${market.since ? ` since ${shortDay(market.since)}` : ""}`],
  ];
}

// What the exchange publishes beside the bars.
function published(known) {
  if (!known) return [];
  const average = known.delivery_average_pct ? ` (average ${percent(known.delivery_average_pct)})` : "";
  return [
    ["Results", known.results_on && resultsInWords(known)], ["Delivery", known.delivery_pct && `${percent(known.delivery_pct)}${average}`],
    ["Market cap", known.market_cap && largeMoney(known.market_cap)],
    ["Price band", bandInWords(known)], ["Marks", known.marks.join(", ")],
  ];
}

function bandInWords({ price_band_pct: width, band_hit: hit }) {
  return [width && `${number(width, 0)} %`, hit && `reached the ${hit} one`].filter(Boolean).join(", ");
}

function resultsInWords({ results_on: date, results_in_sessions: due }) {
  return `${shortDay(date)}${due === null ? "" : `, in ${due} ${due === 1 ? "session" : "sessions"}`}`;
}

export function legend(setup, events, holding) {
  const sign = ([tone, text]) => h("span", { class: tone }, text);
  const kinds = setup.pivot ? Object.keys(MARKED).filter((kind) => events.some((event) => event.kind === kind)) : [];
  const letters = kinds.map((kind) => h("span", { class: "letter" }, h("b", {}, MARKED[kind]), ` ${words(kind)}`));
  return h("div", { class: "legend", "aria-hidden": "true" },
    setup.pivot ? LEVELS.map(sign) : null, AVERAGES.map(sign), letters,
    holding ? h("span", { class: "letter" }, holdingInWords(holding)) : null);
}
