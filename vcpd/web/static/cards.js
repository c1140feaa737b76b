// Cards, tables and captions that the views Market, Scans and Positions are made of.
import { address } from "./address.js";
import { h } from "./dom.js";
import { bare } from "./format.js";

export const card = (name, ...children) => h("article", { class: name ? `card ${name}` : "card" }, ...children);

// A card's heading; `now` stands at the right of it, `tone` colours it.
export function titled(title, now = null, tone = "") {
  return h("header", {}, h("h2", {}, title), now === null ? null : h("span", { class: tone ? `now ${tone}` : "now" }, now));
}

export const muted = (text) => h("p", { class: "muted" }, text);
export const heads = (...names) => h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name))));
export const cells = (values) => values.map((value) => h("td", {}, value));
export const rowOf = (...values) => h("tr", {}, cells(values));

// `columns` are the heads, or null for a table without them.
export function table(name, columns, rows) {
  return h("table", { class: name ? `small ${name}` : "small" }, columns ? heads(...columns) : null, h("tbody", {}, rows));
}

// Scrolls sideways by itself where it is wider than the screen.
export function wideTable(label, ...children) {
  return h("div", { class: "wide-table", tabindex: 0, role: "region", "aria-label": label }, ...children);
}

export const symbolLink = (symbol) => h("a", { href: address(symbol) }, bare(symbol));
export const symbolLinks = (symbols) => symbols.flatMap((symbol, at) => [at ? ", " : "", symbolLink(symbol)]);

// What stands under a picture: its first and last day, and what its colours mean as pairs of tone and text.
export const axis = (first, last) => h("div", { class: "axis" }, h("span", {}, first), h("span", {}, last));
export const keys = (pairs) => h("div", { class: "keys" }, pairs.map(([tone, text]) => h("span", { class: tone }, text)));
