// The running session: where prices come from, and the bases nearest to their pivots.
import { address } from "./address.js";
import { byId, h } from "./dom.js";
import { bare, price, signed, words } from "./format.js";
import * as table from "./table.js";

const SHOWN = 8;
const SOURCES = { ticker: "live feed", quotes: "quotes, the live feed is away", none: "no prices yet" };

export function show(watch) {
  const strip = byId("watch");
  strip.hidden = watch === null;
  table.quote(watch?.items ?? []);
  if (watch === null) return;
  const known = watch.items.filter((item) => item.price !== null).slice(0, SHOWN);
  strip.replaceChildren(
    h("span", { title: "Provisional until the close" }, h("b", {}, `${watch.candidates} watched`), ` by ${SOURCES[watch.source]}`),
    watch.events ? h("span", {}, h("b", {}, `${watch.events}`), watch.events === 1 ? " event today" : " events today") : "",
    ...known.map(one),
  );
}

function one(item) {
  const news = (item.news ? ` · ${words(item.news)}` : "") + (item.at_limit ? ` · ${item.at_limit}` : "");
  return h("span", { class: item.to_pivot_pct < 0 ? "up" : null },
    h("a", { href: address(item.symbol) }, bare(item.symbol)), " ", h("b", {}, price(item.price)),
    ` ${signed(item.to_pivot_pct)} to pivot${news}`);
}
