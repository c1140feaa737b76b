// One symbol: its chart, why it is or is not a setup, its risk, and how many shares.
import { listAddress } from "./address.js";
import { get, symbolPath } from "./api.js";
import { byId, h, notice, errorNotice, rememberFocus } from "./dom.js";
import { bare, price, words } from "./format.js";
import { sizing } from "./size.js";
import { chip, showStar, star } from "./columns.js";
import { exchange } from "./exchange.js";
import { tradingViewName } from "./export.js";
import { facts, legend } from "./facts.js";
import { loadHolding } from "./holding.js";
import { onChange } from "./marks.js";
import { noteField } from "./note.js";
import { known } from "./search.js";
import { current } from "./table.js";
import { gates, legs, riskParts, scoreParts, verdict } from "./verdict.js";

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
  const waitingText = h("div", { class: "block", "aria-busy": "true" }, h("span", { class: "skeleton" }));
  panel.replaceChildren(head(name, null), waitingChart(), waitingText);
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
  const [explained, bars, risk, holding] = await Promise.all([
    get(symbolPath("explain", name), signal),
    get(`${symbolPath("bars", name)}?sessions=${SESSIONS_SHOWN}`, signal),
    get(symbolPath("risk", name), signal).catch(() => ({ items: [] })),
    loadHolding(name, signal).catch(() => null),
  ]);
  const life = await get(symbolPath("setups", name), signal).catch(() => ({ setup: null, bases: [] }));
  return { explained, bars, risk, life, holding };
}

async function show(name, found, range = null) {
  if (shownSymbol !== name) return;
  shownText = JSON.stringify(found);
  const { explained: { setup, lines }, bars, risk, life, holding } = found;
  const score = risk.items.find((item) => item.as_of === setup.as_of) ?? risk.items[0]; // this session may not be scored yet
  const events = life.setup?.events?.length ? life.setup.events : setup.events;
  const frame = h("div", { class: "chart-place" }, waitingChart());
  const columns = (...blocks) => h("div", { class: "block columns" }, blocks);
  parts ??= build(name);
  parts.above.replaceChildren(...[
    head(name, setup), facts(setup, score), frame, legend(setup, events, holding), links(name),
  ].filter(Boolean));
  parts.below.replaceChildren(
    verdict(setup, lines),
    columns(gates(setup), legs(setup, events)),
    columns(scoreParts(setup), riskParts(score)));
  parts.size.renew(setup);
  await draw(frame, { bars, setup, events, bases: life.bases, holding }, range);
}

const waitingChart = () => h("div", { class: "chart" }, notice("", "Drawing the chart …"));

function build(name) {
  const made = { above: h("div", { class: "part" }), below: h("div", { class: "part" }), size: sizing() };
  byId("detail").replaceChildren(made.above, noteField(name), made.below, made.size.node);
  return made;
}

async function draw(frame, shown, range) {
  if (shown.bars.count < 2) {
    frame.replaceChildren(notice("No chart", "There are no bars of this symbol yet."));
    return;
  }
  const [{ chartWithTools }, benchmark] = await Promise.all([import("./chart_tools.js"), benchmarkBars(shown.bars.symbol)]);
  if (!frame.isConnected) return;
  chart = chartWithTools(frame, { ...shown, benchmark }, range);
  quote(live);
}

// The bars of the index behind relative strength; null where there are none, or the symbol is the index itself.
async function benchmarkBars(name) {
  const board = current();
  const index = board?.benchmark;
  if (!index || index === name) return null;
  return get(`${symbolPath("bars", index)}?sessions=${SESSIONS_SHOWN}`).catch(() => null);
}

// The price and the bar of the running session on the chart; nothing once it is over.
export function quote(items) {
  live = items;
  const item = items.find((candidate) => candidate.symbol === shownSymbol);
  const now = item?.price ?? null;
  chart?.quote(now, item?.bar ?? null);
  const place = document.querySelector("#detail .detail-head .price");
  if (now === null || !place) return;
  place.textContent = price(now);
  place.classList.add("amber");
  place.title = "live, provisional until the close";
}

function head(name, setup) {
  const close = () => { location.hash = listAddress(); };
  return h("div", { class: "detail-head" },
    h("h2", { tabindex: -1, id: "detail-title" }, bare(name)),
    h("span", { class: "exchange" }, name.split(":")[0]),
    companyOf(name),
    setup ? signs(setup) : [],
    h("span", { class: "price" }, setup ? price(setup.close) : ""),
    star(name),
    h("button", { type: "button", "aria-label": "Close", title: "Close (Esc)", onclick: close }, "✕"));
}

const signs = (setup) => [
  setup.state ? chip(setup.state) : null,
  setup.group ? h("span", { class: "chip" }, words(setup.group)) : null,
  setup.provisional ? h("span", { class: "tag" }, "provisional") : null,
];

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
  const anchor = (link) => h("a", { href: address(link), target: "_blank", rel: "noopener noreferrer" }, link.name);
  return h("p", { class: "links" }, exchange.links.map(anchor));
}
