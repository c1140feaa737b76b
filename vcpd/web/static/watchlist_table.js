// The lists as links, and the table of the watched symbols with their price levels.
import { card, muted, symbolLink, table, titled, wideTable } from "./cards.js";
import { h } from "./dom.js";
import { bare, day, price, shortDay, signed } from "./format.js";
import { applyChange, exportList } from "./watchlist_changes.js";

const COLUMNS = ["symbol", "close", "change", "price levels", "snooze", "company", "lists", ""];

export function listLinks(view) {
  const link = (name, text) => h("a", {
    href: `#/watchlists${name ? `/${encodeURIComponent(name)}` : ""}`, "aria-current": name === view.chosen ? "true" : null,
  }, text);
  return h("div", { class: "chips", role: "group", "aria-label": "Watch lists" },
    link("", "all"), view.lists.map((list) => link(list.name, `${list.name} ${list.count}`)));
}

export function watchedTable(view, change) {
  const title = view.chosen || "Watched symbols";
  const rows = view.items.map((item) => symbolRow(item, view, change));
  return card("broad", titled(title), muted(view.session ? `${counted(view.count)} after ${day(view.session)}` : counted(view.count)),
    view.chosen ? exports(view, change) : null,
    rows.length ? wideTable("Watched symbols", table("watched", COLUMNS, rows)) : muted("No symbol."));
}

const counted = (count) => `${count} symbol${count === 1 ? "" : "s"}`;

function exports(view, change) {
  const button = (form, text) => h("button", { type: "button", "data-export": form, onclick: () => exportList(change, view.chosen, form) }, text);
  return h("div", { class: "actions" }, button("tradingview", "TradingView list"), button("basket", "Order basket (CSV)"), button("basket-json", "Order basket (JSON)"));
}

function symbolRow(item, view, change) {
  const cell = (name, ...children) => h("td", { class: name }, ...children);
  return h("tr", { "data-symbol": item.symbol }, cell("name", symbolLink(item.symbol)),
    cell(null, price(item.close)), cell(null, item.change_pct === null ? "–" : signed(item.change_pct)),
    cell("text", h("ul", { class: "lines" }, item.levels.map((reading) => levelLine(reading, change)))),
    cell("text", item.snoozed_until ? ["snoozed until ", shortDay(item.snoozed_until), " ", endSnooze(item, change)] : null),
    cell("text", item.name), cell("text", item.lists.join(", ")),
    cell(null, view.chosen ? removal(item, view.chosen, change) : null));
}

const acting = (label, text, action) => h("button", { type: "button", class: "plain", "aria-label": label, onclick: action }, text);

function levelLine({ id, level, is_reached: isReached, distance_pct: distance }, change) {
  const where = isReached ? "reached" : distance === null ? "" : signed(distance);
  return h("li", { class: isReached ? "amber" : null, title: level.note },
    `${levelText(level)}${where ? ` (${where})` : ""}${level.note ? `: ${level.note}` : ""} `,
    acting(`Remove the level ${levelText(level)} of ${bare(level.symbol)}`, "✕", () => applyChange(change, "levels/remove", { id })));
}

export const levelText = (level) =>
  (level.kind === "crosses" ? `crosses its ${level.average}-session average` : `${level.kind} ${price(level.price)}`);

const endSnooze = (item, change) => acting(`End the snooze of ${bare(item.symbol)}`, "end",
  () => applyChange(change, "snooze", { symbol: item.symbol, until: null }));

const removal = (item, list, change) => acting(`Remove ${bare(item.symbol)} from ${list}`, "remove",
  () => applyChange(change, "", { name: list, remove: [item.symbol] }));
