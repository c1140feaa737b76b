// The running session: where prices come from, and the bases nearest to their pivots.
import { address } from "./address.js";
import { byId, h, keepFocus, update } from "./dom.js";
import { bare, price, signed, words } from "./format.js";
import * as table from "./table.js";

const SHOWN = 8;
const SOURCES = { ticker: "live feed", quotes: "quotes, the live feed is away", none: "no prices yet" };
const lines = new Map(); // by symbol: a line stays in place while its price changes, so that a click reaches it
const summary = h("span", { title: "Provisional until the close" });

export function show(watch) {
  const strip = byId("watch");
  strip.hidden = watch === null;
  table.quote(watch?.items ?? []);
  if (watch === null) return;
  update(summary, [watch.candidates, watch.source, watch.events], () => summed(watch));
  const known = watch.items.filter((item) => item.price !== null).slice(0, SHOWN);
  const nodes = [summary, ...known.map(lineOf)];
  if (nodes.length !== strip.childNodes.length || nodes.some((node, at) => node !== strip.childNodes[at])) {
    keepFocus(strip, () => strip.replaceChildren(...nodes));
  }
}

function summed({ candidates, source, events }) {
  const happened = events === 1 ? " event today" : " events today";
  return [h("b", {}, `${candidates} watched`), ` by ${SOURCES[source]}`, ...(events ? [" · ", h("b", {}, `${events}`), happened] : [])];
}

function lineOf(item) {
  const line = lines.get(item.symbol) ?? newLine(item.symbol);
  line.link.setAttribute("href", address(item.symbol));
  line.node.className = item.to_pivot_pct < 0 ? "up" : "";
  line.price.textContent = price(item.price);
  line.text.textContent = [` ${signed(item.to_pivot_pct)} to pivot`, item.news && words(item.news), item.at_limit].filter(Boolean).join(" · ");
  return line.node;
}

function newLine(symbol) {
  const line = { link: h("a", {}, bare(symbol)), price: h("b", {}), text: h("span", {}) };
  line.node = h("span", {}, line.link, " ", line.price, line.text);
  lines.set(symbol, line);
  return line;
}
