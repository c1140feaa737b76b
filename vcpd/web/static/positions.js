// Positions: lots with their rules, the heat against its caps, the account in R, the journal, and trades to add.
import { address } from "./address.js";
import { get, send } from "./api.js";
import { byId, errorNotice, h, meter, notice, s, skeleton } from "./dom.js";
import { bare, day, fullSymbol, money, number, percent, price, shortDay, whole, words } from "./format.js";

const WIDTH = 600;
const HEIGHT = 150;
const MOST_R = 5; // a longer bar is cut there
const TRADES_SHOWN = 100;
let shownVersion;

export async function show(version) {
  const view = byId("view-positions");
  if (shownVersion === version) return;
  if (shownVersion === undefined) view.replaceChildren(skeleton(6));
  shownVersion = version;
  try {
    const [held, heat, journal] = await Promise.all([get("api/positions"), get("api/heat"), get("api/journal")]);
    view.replaceChildren(h("div", { class: "page" }, held.session ? h("div", { class: "cards" }, lots(held), gauge(heat), curve(heat.curve), trades(journal)) : notice("No positions yet", "Add a purchase or import a file of trades."),
      h("div", { id: "position-change", "aria-live": "polite" }), h("div", { class: "cards" }, addForm(), importForm())));
  } catch (error) {
    shownVersion = undefined;
    view.replaceChildren(errorNotice(error, () => show(version)));
  }
}

const heads = (...names) => h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name))));
const inR = (value) => (value === null ? "–" : `${value > 0 ? "+" : ""}${value.toFixed(2)}`);

// A bar to the right of the middle for a gain, to the left for a loss; the stop lies at -1.
function bar(value) {
  if (value === null) return null;
  const long = Math.min(Math.abs(value), MOST_R);
  return s("svg", { class: "r-bar", viewBox: `-${MOST_R} 0 ${2 * MOST_R} 2`, preserveAspectRatio: "none", "aria-hidden": "true" },
    s("line", { class: "grid", x1: 0, x2: 0, y1: 0, y2: 2 }), s("rect", { class: value < 0 ? "lost" : "won", x: value < 0 ? -long : 0, y: 0.4, width: long, height: 1.2 }));
}

function lots(held) {
  const reasons = held.lots.filter((lot) => held.unmeasured[lot.number]).map((lot) => `${bare(lot.symbol)}: ${whole(lot.quantity)} shares at ${price(lot.entry)} are not judged: ${held.unmeasured[lot.number]}`);
  const row = ({ measures, stop, next_rule: rule }) => {
    const next = rule === null ? "–" : `${rule.fires ? "sell: " : ""}${words(rule.name)}${rule.level === null ? "" : ` at ${price(rule.level)}`}`;
    return h("tr", {}, h("td", {}, h("a", { href: address(measures.lot.symbol) }, bare(measures.lot.symbol)), measures.provisional ? h("span", { class: "muted" }, " provisional") : null),
      [measures.lot.opened ? shortDay(measures.lot.opened) : "unknown", whole(measures.lot.quantity), price(measures.lot.entry), price(measures.close), percent(100 * (measures.close / measures.lot.entry - 1))].map((text) => h("td", {}, text)),
      h("td", { class: "in-r" }, inR(measures.result_r), bar(measures.result_r)), h("td", {}, price(stop)), h("td", { class: rule?.fires ? "down" : null, title: rule?.text ?? "" }, next));
  };
  return h("article", { class: "card broad" }, h("header", {}, h("h2", {}, "Held"), h("span", { class: "now" }, `${held.lots.length} lots after ${day(held.session)}`)),
    h("div", { class: "wide-table" }, h("table", { class: "small held" }, heads("symbol", "bought", "shares", "entry", "close", "gain", "R", "stop", "next rule"), h("tbody", {}, held.positions.map(row)))),
    [...reasons, ...held.notices].map((text) => h("p", { class: "muted" }, text)));
}

function gauge({ heat }) {
  const header = h("header", {}, h("h2", {}, "Heat"), h("span", { class: "now" }, heat ? `${percent((100 * heat.at_risk) / heat.equity, 2)} at risk` : "unknown"));
  if (!heat) return h("article", { class: "card" }, header, h("p", { class: "muted" }, "It needs the value of the account: [size] equity in the configuration."));
  const row = (cap) => h("tr", {}, h("td", {}, cap.name), h("td", { class: `gauge ${cap.used > cap.limit * (1 + 1e-9) ? "over" : ""}` }, meter((100 * cap.used) / cap.limit)), h("td", {}, `${number(cap.used, 2)} of ${number(cap.limit, 1)} ${cap.unit}`));
  return h("article", { class: "card" }, header, h("div", { class: "wide-table" }, h("table", { class: "small caps" }, h("tbody", {}, heat.caps.map(row)))),
    h("p", { class: "muted" }, `${money(heat.at_risk)} lost if every stop is hit; ${money(heat.gap_loss)} in a bad night of a hundred for all at once.`),
    heat.without_stop.length ? h("p", { class: "amber" }, `Counted whole, because no stop lies under the price: ${heat.without_stop.map(bare).join(", ")}`) : null);
}

function curve(points) {
  if (points.length < 2) return null;
  const values = points.map((point) => point.closed_r + point.open_r);
  const [least, most] = [Math.min(0, ...values), Math.max(0, ...values)];
  const height = (value) => HEIGHT - ((value - least) / Math.max(most - least, 1e-9)) * HEIGHT;
  const path = values.map((value, at) => `${at ? "L" : "M"}${((at * WIDTH) / (values.length - 1)).toFixed(1)} ${height(value).toFixed(1)}`).join("");
  return h("article", { class: "card" }, h("header", {}, h("h2", {}, "The account in R"), h("span", { class: "now" }, inR(values.at(-1)))),
    s("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `Closed and open R over ${points.length} sessions, now ${inR(values.at(-1))}` }, s("line", { class: "grid", x1: 0, x2: WIDTH, y1: height(0), y2: height(0) }), s("path", { class: "a", d: path })),
    h("div", { class: "axis" }, h("span", {}, day(points[0].session)), h("span", {}, day(points.at(-1).session))));
}

function trades({ entries, all }) {
  if (!entries.length) return null;
  const interval = all.low_r === null ? `${all.with_r} trades are too few for an interval` : `95 % interval ${inR(all.low_r)} to ${inR(all.high_r)}`;
  const row = (trade) => h("tr", {}, h("td", {}, bare(trade.symbol)), [trade.opened ? shortDay(trade.opened) : "unknown", shortDay(trade.closed), whole(trade.quantity), price(trade.entry), price(trade.exit), inR(trade.result_r), inR(trade.best_r), money(trade.profit), trade.tax_class].map((text) => h("td", {}, text)));
  return h("article", { class: "card broad" }, h("header", {}, h("h2", {}, "Journal"), h("span", { class: "now" }, `${whole(all.trades)} trades, mean ${inR(all.mean_r)} R`)),
    h("p", { class: "muted" }, `${interval}; ${percent(all.won_pct, 0)} won; before charges ${money(all.profit)}.`),
    h("div", { class: "wide-table" }, h("table", { class: "small" }, heads("symbol", "bought", "sold", "shares", "entry", "exit", "R", "best R", "profit", "class"), h("tbody", {}, entries.slice(-TRADES_SHOWN).reverse().map(row)))));
}

async function change(path, body) {
  const place = byId("position-change");
  try {
    const done = await send(path, body);
    shownVersion = undefined;
    await show(null);
    const counts = [[done.added, "added"], [done.known, "known already"]].filter(([count]) => count).map(([count, word]) => `${count} ${word}`);
    byId("position-change").replaceChildren(h("p", {}, counts.join(", ") || "Nothing was added"), h("ul", { class: "lines" }, [...done.refused, ...done.left_out].map((row) => h("li", { class: "amber" }, `${row.place}: ${row.reason}`))));
  } catch (error) {
    place.replaceChildren(notice("Not taken", error.message));
  }
}

function addForm() {
  const input = (name, type, more = {}) => h("input", { name, type, "aria-label": name, placeholder: name, required: true, step: "any", ...more });
  const side = h("select", { name: "side", "aria-label": "side" }, h("option", { value: "buy" }, "bought"), h("option", { value: "sell" }, "sold"));
  const submit = (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(event.target));
    change("api/positions", { symbol: fullSymbol(given.symbol.trim().toUpperCase()), session: given.date, side: given.side, quantity: Number(given.shares), price: Number(given.price), stop: given.stop ? Number(given.stop) : null });
  };
  return h("form", { id: "add-trade", class: "card scan", onsubmit: submit }, h("h2", {}, "Add a trade"), h("div", { class: "fields" }, input("symbol", "text", { maxlength: 40, list: "symbols" }), side, input("date", "date"),
    input("shares", "number", { min: 1, step: 1 }), input("price", "number", { min: 0 }), input("stop", "number", { min: 0, required: false, placeholder: "initial stop" }), h("button", { type: "submit", class: "primary" }, "Add")));
}

function importForm() {
  const file = h("input", { type: "file", accept: ".csv,text/csv", "aria-label": "File of trades", required: true });
  const submit = async (event) => {
    event.preventDefault();
    const [chosen] = file.files;
    change("api/positions/import", { name: chosen.name.slice(0, 200), trades: await chosen.text() });
  };
  return h("form", { id: "import-trades", class: "card scan", onsubmit: submit }, h("h2", {}, "Import trades"), h("p", { class: "muted" }, "A tradebook of Zerodha's Console, or a CSV with symbol, date, side, quantity, price and perhaps stop."),
    h("div", { class: "fields" }, file, h("button", { type: "submit", class: "primary" }, "Import")));
}
