// The account in pictures and tables: lots with their rules, heat against its caps, the curve in R, the journal.
import { address } from "./address.js";
import { h, meter, s } from "./dom.js";
import { bare, day, inR, money, number, percent, price, shortDay, whole, words } from "./format.js";
import { dayOf, lotDetails, ruleInWords } from "./lot_details.js";
import { noteCell } from "./trade_note.js";

const WIDTH = 600;
const HEIGHT = 150;
const MOST_R = 5; // a longer bar is cut there
export const TRADES_SHOWN = 100;
const LOT_COLUMNS = ["symbol", "bought", "shares", "entry", "close", "gain", "R", "stop", "next rule"];

const heads = (...names) => h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name))));
const cells = (texts) => texts.map((text) => h("td", {}, text));
const titled = (title, now) => h("header", {}, h("h2", {}, title), h("span", { class: "now" }, now));
const counted = (count, name) => `${whole(count)} ${name}${count === 1 ? "" : "s"}`;
const wideTable = (label, ...children) => h("div", { class: "wide-table", tabindex: 0, role: "region", "aria-label": label }, ...children);

// A bar to the right of the middle for a gain, to the left for a loss; the stop lies at -1.
function resultBar(value) {
  if (value === null) return null;
  const long = Math.min(Math.abs(value), MOST_R);
  return s("svg", { class: "r-bar", viewBox: `-${MOST_R} 0 ${2 * MOST_R} 2`, preserveAspectRatio: "none", "aria-hidden": "true" },
    s("line", { class: "grid", x1: 0, x2: 0, y1: 0, y2: 2 }),
    s("rect", { class: value < 0 ? "lost" : "won", x: value < 0 ? -long : 0, y: 0.4, width: long, height: 1.2 }));
}

export function heldLots(held) {
  return h("article", { class: "card broad" }, titled("Held", `${counted(held.lots.length, "lot")} after ${day(held.session)}`),
    wideTable("Held lots", h("table", { class: "small held" },
      heads(...LOT_COLUMNS), h("tbody", {}, held.positions.flatMap(lotRows)))),
    [...unmeasured(held), ...held.notices].map((text) => h("p", { class: "muted" }, text)));
}

const ruleSet = ({ rules }) => (rules && rules !== "default" ? `rules ${rules}` : null);
const remark = (text) => h("span", { class: "muted" }, ` ${text}`);

function lotRows(position) {
  const { measures, stop, to_stop_pct: away, next_rule: rule } = position;
  const { lot, close } = measures;
  const details = lotDetails(position, LOT_COLUMNS.length);
  const row = h("tr", {},
    h("td", {}, details.button, " ", h("a", { href: address(lot.symbol) }, bare(lot.symbol)), [measures.provisional ? "provisional" : null, ruleSet(lot)].filter(Boolean).map(remark)),
    cells([dayOf(lot), whole(lot.quantity), price(lot.entry), price(close), percent(100 * (close / lot.entry - 1))]),
    h("td", { class: "in-r" }, inR(measures.result_r), resultBar(measures.result_r)), h("td", { title: away === null || away === undefined ? "" : `${percent(away)} below the close` }, price(stop)),
    h("td", { class: rule?.fires ? "down" : null, title: rule?.text ?? "" }, ruleInWords(rule)));
  return [row, details.row];
}

function unmeasured(held) {
  return held.lots.filter((lot) => held.unmeasured[lot.number]).map((lot) =>
    `${bare(lot.symbol)}: ${whole(lot.quantity)} shares at ${price(lot.entry)} are not evaluated: ${held.unmeasured[lot.number]}`);
}

export function heatGauge({ heat }) {
  if (!heat) {
    return h("article", { class: "card" }, titled("Heat", "unknown"),
      h("p", { class: "muted" }, "It needs the value of the account: [size] equity in the configuration."));
  }
  return h("article", { class: "card" }, titled("Heat", `${percent((100 * heat.at_risk) / heat.equity, 2)} at risk`),
    wideTable("Caps of the heat", h("table", { class: "small caps" }, h("tbody", {}, heat.caps.map(capRow)))),
    h("p", { class: "muted" }, `${money(heat.at_risk)} are lost if every stop is hit. A gap that one night in a hundred exceeds, in every symbol at once, costs ${money(heat.gap_loss)}.`),
    heat.effective_bets ? h("p", { class: "muted" }, `The symbols move like ${heat.effective_bets.toFixed(1)} independent ones.`) : null,
    heat.without_stop.length ? h("p", { class: "amber" }, `Counted with the whole value, because no stop lies below the price: ${heat.without_stop.map(bare).join(", ")}`) : null);
}

function capRow(cap) {
  const isOver = cap.used > cap.limit * (1 + 1e-9);
  return h("tr", {}, h("td", {}, cap.name), h("td", { class: `gauge ${isOver ? "over" : ""}` }, meter((100 * cap.used) / cap.limit)),
    h("td", {}, cap.unit === "symbols" ? `${whole(cap.used)} of ${whole(cap.limit)} symbols` : `${number(cap.used, 2)} of ${number(cap.limit, 1)} ${cap.unit}`));
}

export function accountCurve(points) {
  if (points.length < 2) return null;
  const values = points.map((point) => point.closed_r + point.open_r);
  const [least, most] = [Math.min(0, ...values), Math.max(0, ...values)];
  const height = (value) => HEIGHT - ((value - least) / Math.max(most - least, 1e-9)) * HEIGHT;
  const path = values.map((value, at) => `${at ? "L" : "M"}${((at * WIDTH) / (values.length - 1)).toFixed(1)} ${height(value).toFixed(1)}`);
  const now = inR(values.at(-1));
  const label = `Closed and open R over ${points.length} sessions, now ${now}`;
  return h("article", { class: "card" }, titled("The account in R", now),
    s("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
      s("line", { class: "grid", x1: 0, x2: WIDTH, y1: height(0), y2: height(0) }), s("path", { class: "a", d: path.join("") })),
    h("div", { class: "axis" }, h("span", {}, day(points[0].session)), h("span", {}, day(points.at(-1).session))));
}

// `changes` is what a note that is written needs, see trade_note.js.
export function journalTable({ entries, all }, changes) {
  if (!entries.length) return null;
  const interval = all.low_r === null ? `${whole(all.with_r)} with a stop: too few for an interval` : `95 % interval ${inR(all.low_r)} to ${inR(all.high_r)}`;
  return h("article", { class: "card broad" }, titled("Journal", `${counted(all.trades, "trade")}, mean ${inR(all.mean_r)} R`),
    h("p", { class: "muted" }, `${interval}; ${percent(all.won_pct, 0)} won; before charges ${money(all.profit)}${all.net_profit === null || all.net_profit === undefined ? "" : `, after them about ${money(all.net_profit)}`}.`),
    wideTable("Closed trades", h("table", { class: "small" },
      heads("symbol", "bought", "sold", "shares", "entry", "exit", "R", "best R", "profit", "class", "rule", "note"),
      h("tbody", {}, [...entries].reverse().map((trade) => tradeRow(trade, changes))))));
}

const saleRule = ({ rule, rule_session: session, followed }) => (rule ? `${words(rule)}${followed ? "" : ` of ${shortDay(session)} not followed`}` : "–");
const tradeRow = (trade, changes) => h("tr", {}, cells([bare(trade.symbol), dayOf(trade), shortDay(trade.closed), whole(trade.quantity),
  price(trade.entry), price(trade.exit), inR(trade.result_r), inR(trade.best_r), money(trade.profit), trade.tax_class, saleRule(trade)]), noteCell(trade, changes));
