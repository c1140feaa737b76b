// One symbol: its chart, why it is or is not a setup, its risk, and how many shares.
import { listAddress } from "./address.js";
import { get, symbolPath } from "./api.js";
import { byId, h, meter, notice, errorNotice, rememberFocus } from "./dom.js";
import { MARKED, bare, day, largeMoney, number, percent, price, shortDay, whole, words } from "./format.js";
import { sizing } from "./size.js";
import { chip, showStar, star } from "./columns.js";
import { term } from "./glossary.js";
import { exchange } from "./exchange.js";
import { tradingViewName } from "./export.js";
import { onChange } from "./marks.js";
import { noteField } from "./note.js";
import { known } from "./search.js";
import { current } from "./table.js";

const SESSIONS_SHOWN = 620; // the earliest shown has its average of 200
let shownSymbol = null;
let chart = null;
let live = [];
let shownText = ""; // what is drawn, to see whether anything changed
let asking = null;
let parts = null; // of the panel: what is drawn again above and below the note, and the fields that stay

export const symbol = () => shownSymbol;

onChange(() => {
  const shownStar = document.querySelector("#detail .star");
  if (shownStar) showStar(shownStar, shownSymbol);
});

export function close() {
  asking?.abort();
  chart?.remove();
  chart = null;
  parts = null;
  shownSymbol = null;
  byId("detail").replaceChildren();
  byId("detail").hidden = true;
}

export async function open(name) {
  close();
  shownSymbol = name;
  byId("detail").dataset.symbol = name;
  asking = new AbortController();
  const panel = byId("detail");
  panel.hidden = false;
  panel.scrollTop = 0;
  panel.replaceChildren(head(name, null), h("div", { class: "chart" }, notice("", "Drawing the chart …")), h("div", { class: "block", "aria-busy": "true" }, h("span", { class: "skeleton" })));
  try {
    await show(name, await load(name, asking.signal));
  } catch (error) {
    if (error.name === "AbortError" || shownSymbol !== name) return;
    parts = null;
    shownText = "";
    panel.replaceChildren(head(name, null), error.status === 404 || error.status === 400
      ? notice(`${bare(name)} is not followed`, `${error.message} Its spelling is the exchange's, such as INFY or M&M.`)
      : errorNotice(error, () => open(name)));
  }
}

// After a job has finished: shows what changed and keeps the chart's range and the place in the panel.
export async function renew() {
  const name = shownSymbol;
  const found = await load(name, asking.signal).catch(() => null);
  if (found === null || shownSymbol !== name || JSON.stringify(found) === shownText) return;
  const panel = byId("detail");
  const top = panel.scrollTop;
  const range = chart?.range() ?? null;
  chart?.remove();
  chart = null;
  const restoreFocus = rememberFocus(panel);
  await show(name, found, range);
  restoreFocus();
  panel.scrollTop = top;
}

async function load(name, signal) {
  const [explained, bars, risk] = await Promise.all([
    get(symbolPath("explain", name), signal),
    get(`${symbolPath("bars", name)}?sessions=${SESSIONS_SHOWN}`, signal),
    get(symbolPath("risk", name), signal).catch(() => ({ items: [] })),
  ]);
  const life = await get(symbolPath("setups", name), signal).catch(() => ({ setup: null, bases: [] }));
  return { explained, bars, risk, life };
}

async function show(name, found, range = null) {
  if (shownSymbol !== name) return;
  shownText = JSON.stringify(found);
  const { explained: { setup, lines }, bars, risk, life } = found;
  const score = risk.items.find((item) => item.as_of === setup.as_of) ?? risk.items[0]; // the newest there is: this session may not be scored yet
  const events = life.setup?.events?.length ? life.setup.events : setup.events;
  const frame = h("div", { class: "chart-place" }, h("div", { class: "chart" }, notice("", "Drawing the chart …")));
  parts ??= build(name);
  parts.above.replaceChildren(head(name, setup), facts(setup, score), frame, legend(setup, events) ?? "", links(name) ?? "");
  parts.below.replaceChildren(verdict(setup, lines), h("div", { class: "block columns" }, gates(setup), legs(setup, events)),
    h("div", { class: "block columns" }, scoreParts(setup), riskParts(score)));
  parts.size.renew(setup);
  await draw(frame, bars, setup, events, life.bases, range);
}

function build(name) {
  const made = { above: h("div", { class: "part" }), below: h("div", { class: "part" }), size: sizing() };
  byId("detail").replaceChildren(made.above, noteField(name), made.below, made.size.node);
  return made;
}

async function draw(frame, bars, setup, events, bases, range) {
  if (bars.count < 2) {
    frame.replaceChildren(notice("No chart", "There are no bars of this symbol yet."));
    return;
  }
  const [{ chartWithTools }, benchmark] = await Promise.all([import("./chart_tools.js"), benchmarkBars(bars.symbol)]);
  if (!frame.isConnected) return;
  chart = chartWithTools(frame, { bars, setup, events, bases, benchmark }, range);
  quote(live);
}

// The bars of the index behind relative strength; null where there are none, or the symbol is the index itself.
async function benchmarkBars(name) {
  const board = current();
  const index = board?.benchmark;
  if (!index || index === name) return null;
  return get(`${symbolPath("bars", index)}?sessions=${SESSIONS_SHOWN}`).catch(() => null);
}

// The price of the running session on the chart; nothing once it is over.
export function quote(items) {
  live = items;
  const now = items.find((item) => item.symbol === shownSymbol)?.price ?? null;
  chart?.quote(now);
  const place = document.querySelector("#detail .detail-head .price");
  if (now === null || !place) return;
  place.textContent = price(now);
  place.classList.add("amber");
  place.title = "live, provisional until the close";
}

function head(name, setup) {
  return h("div", { class: "detail-head" }, h("h2", { tabindex: -1, id: "detail-title" }, bare(name)), h("span", { class: "exchange" }, name.split(":")[0]), companyOf(name),
    setup?.state ? chip(setup.state) : null, setup?.group ? h("span", { class: "chip" }, words(setup.group)) : null, setup?.provisional ? h("span", { class: "tag" }, "provisional") : null,
    h("span", { class: "price" }, setup ? price(setup.close) : ""),
    star(name),
    h("button", { type: "button", "aria-label": "Close", title: "Close (Esc)", onclick: () => { location.hash = listAddress(); } }, "✕"));
}

function companyOf(name) {
  const place = h("span", { class: "company muted" });
  known().then((companies) => { place.textContent = companies.get(name)?.name ?? ""; });
  return place;
}

// Pages about the company elsewhere; a simulated one has none.
function links(name) {
  if (document.documentElement.dataset.simulated === "yes") return null;
  const symbol = bare(name);
  const address = (link) => link.url.replace("{symbol}", encodeURIComponent(symbol)).replace("{plain}", tradingViewName(symbol));
  return h("p", { class: "links" }, exchange.links.map((link) => h("a", { href: address(link), target: "_blank", rel: "noopener noreferrer" }, link.name)));
}

const TERMS = { Footprint: "footprint", Pivot: "pivot", "Buy zone": "buy zone", Stop: "stop", "Structural stop": "structural stop", RS: "RS", Sector: "sector rank", Market: "regime", Delivery: "delivery", Risk: "risk" };

function facts(setup, score) {
  const zone = setup.buy_zone ? `${price(setup.buy_zone[0])} – ${price(setup.buy_zone[1])}` : null;
  const pairs = [["Footprint", setup.footprint], ["Pivot", setup.pivot && price(setup.pivot)], ["Buy zone", zone],
    ["Stop", setup.stop && `${price(setup.stop)} (${percent(setup.risk_pct)})`],
    ["Structural stop", setup.structural_stop && `${price(setup.structural_stop)} (${percent(setup.structural_risk_pct)})`],
    ["Pivot before", setup.previous_pivot && price(setup.previous_pivot)], ["RS", setup.rs_rating], ...surroundings(setup),
    ...published(setup.facts),
    ["Risk", score?.band ? `${number(score.score, 0)} ${score.band}` : null], ["Session", shortDay(setup.as_of)]];
  return h("dl", { class: "facts" }, pairs.filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, term(TERMS[name] ?? "", name)), h("dd", {}, String(value)))));
}

// The company's sector and industry with their ranks, and what the market does; what is unknown is not shown.
function surroundings(setup) {
  const market = setup.market_context;
  const place = (name, rank, ranked) => name && (rank ? `${name}, ${rank} of ${ranked}` : name);
  if (!market) return [["Sector", setup.sector]];
  return [["Sector", place(setup.sector, market.sector_rank, market.sectors_ranked)], ["Industry", place(market.industry, market.industry_rank, market.industries_ranked)],
    ["Market", `${words(market.term)}${market.since ? ` since ${shortDay(market.since)}` : ""}`]];
}

// What the exchange publishes beside the bars; what is unknown is not shown.
function published(known) {
  if (!known) return [];
  const due = known.results_in_sessions;
  const average = known.delivery_average_pct ? ` (average ${percent(known.delivery_average_pct)})` : "";
  return [["Results", known.results_on && `${shortDay(known.results_on)}${due === null ? "" : `, in ${due} ${due === 1 ? "session" : "sessions"}`}`],
    ["Delivery", known.delivery_pct && `${percent(known.delivery_pct)}${average}`], ["Market cap", known.market_cap && largeMoney(known.market_cap)],
    ["Price band", known.band_hit && `reached the ${known.band_hit} one`], ["Marks", known.marks.join(", ")]];
}

function legend(setup, events) {
  const averages = [["sma50", "SMA 50"], ["sma150", "SMA 150"], ["sma200", "SMA 200"]].map(([tone, text]) => h("span", { class: tone }, text));
  if (!setup.pivot) return h("div", { class: "legend", "aria-hidden": "true" }, averages);
  const kinds = Object.keys(MARKED).filter((kind) => events.some((event) => event.kind === kind));
  return h("div", { class: "legend", "aria-hidden": "true" }, h("span", { class: "leg" }, "contractions"), h("span", { class: "pivot" }, "pivot"),
    h("span", { class: "zone" }, "buy zone"), h("span", { class: "stop" }, "stop"), averages, kinds.map((kind) => h("span", { class: "letter" }, h("b", {}, MARKED[kind]), ` ${words(kind)}`)));
}

function verdict(setup, lines) {
  const title = setup.group === "setup" ? "Why it is a setup" : setup.group ? "Why it is no setup now" : "Why it is no setup";
  const text = (setup.tolerances.join("; ") || setup.group_reason) ?? setup.nearest_miss ?? setup.reason ?? (setup.passed ? "Every gate holds." : "Not every gate holds.");
  const isOpen = byId("detail").querySelector(".sentence details")?.open ?? false;
  const details = lines.length ? h("details", { open: isOpen }, h("summary", { class: "muted" }, "Every gate in words"), h("ul", { class: "lines" }, lines.map((line) => h("li", {}, line)))) : null;
  return h("div", { class: "block sentence" }, h("h3", {}, title), h("p", {}, text), details);
}

const shownValue = (value) => (value === null ? "?" : typeof value === "number" ? number(value, Number.isInteger(value) ? 0 : 2) : value);

function gates(setup) {
  const entries = Object.entries(setup.gates).sort(([, a], [, b]) => rank(a) - rank(b));
  return h("div", {}, h("h3", {}, term("gate", "Gates"), ` · ${entries.filter(([, gate]) => gate.passed).length} of ${entries.length} hold`, h("span", { class: "units" }, "seen / needed")), entries.map(([name, gate]) => h("div", { class: "gate" },
    gate.passed === null ? h("span", { class: "mark amber", "aria-label": "unknown" }, "?")
      : h("span", { class: `mark ${gate.passed ? "up" : "down"}`, "aria-label": gate.passed ? "holds" : "fails" }, gate.passed ? "✓" : "✗"),
    h("span", {}, gateName(name)), h("span", { class: "value" }, `${shownValue(gate.value)} / ${shownValue(gate.threshold)}`))));
}

const gateName = (name) => words(name).replace(/sma(\d+)/g, "SMA$1").replace(/\brs\b/, "RS").replace(/(SMA\d+) (SMA\d+)$/, "$1 and $2");
const rank = (gate) => (gate.passed === false ? 0 : gate.passed === null ? 1 : 2);

function legs(setup, events) {
  const rows = setup.contractions.map((leg) => h("tr", {}, h("td", {}, `${shortDay(leg.high_date)} – ${shortDay(leg.low_date)}`),
    h("td", {}, price(leg.high)), h("td", {}, price(leg.low)), h("td", {}, percent(leg.depth_pct))));
  const life = events.slice(-8).map((event) => h("li", {}, h("span", { class: "muted" }, `${shortDay(event.session)}  `), words(event.kind),
    ` at ${price(event.price)}`, event.detail ? h("span", { class: "muted" }, ` · ${event.detail}`) : null));
  return h("div", {}, h("h3", {}, term("contraction", "Contractions")),
    rows.length ? h("table", { class: "small" }, h("thead", {}, h("tr", {}, ["from – to", "high", "low", "depth"].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows))
      : h("p", { class: "muted" }, "No base that contracts."),
    life.length ? [h("br"), h("h3", {}, "Events"), h("ul", { class: "lines" }, life)] : null);
}

// Points in figures, without bars: a full bar would look like a sure gain.
function scoreParts(setup) {
  const rows = Object.entries(setup.components).map(([name, value]) => h("tr", {}, h("td", { class: "muted" }, words(name)), h("td", {}, number(value, 1))));
  return h("div", {}, h("h3", {}, "Score", h("span", { class: "units" }, "points")),
    rows.length ? h("table", { class: "small" }, h("tbody", {}, rows, h("tr", {}, h("td", {}, "sum, capped by state"), h("td", {}, number(setup.score, 0)))))
      : h("p", { class: "muted" }, "Only bases are scored."),
    h("p", { class: "muted" }, current()?.score_note ?? ""));
}

function componentBars(components) {
  const tone = (value) => (value >= 80 ? "extreme" : value >= 60 ? "elevated" : value >= 40 ? "moderate" : "low");
  return Object.entries(components).map(([name, value]) => h("div", { class: `bar ${tone(value)}` }, h("span", {}, words(name)), meter(value), h("span", {}, number(value, 0))));
}

function riskParts(score) {
  if (!score || score.score === null) return h("div", {}, h("h3", {}, "Risk"), h("p", { class: "muted" }, score?.reason ?? "Not scored yet."));
  const m = score.metrics;
  const numbers = [["Volatility, year", percent(100 * m.annual_volatility)], ["Deepest fall", percent(100 * m.max_drawdown)], ["Beta", number(m.beta, 2)],
    ["ATR 14", percent(m.atr14_pct)], ["Traded a day", m.median_traded_value ? largeMoney(m.median_traded_value) : "–"]];
  return h("div", {}, h("h3", {}, `Risk · ${score.band} · ${number(score.score, 0)}`), h("div", { class: "bars" }, componentBars(score.components)),
    h("table", { class: "small" }, h("tbody", {}, numbers.map(([name, value]) => h("tr", {}, h("td", { class: "muted" }, name), h("td", {}, value))))),
    h("p", { class: "muted" }, `after ${day(score.as_of)}; 100 is the riskiest of the universe`));
}
