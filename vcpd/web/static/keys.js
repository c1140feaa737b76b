// The keyboard: what each key does, and the list of all keys.
import { listAddress } from "./address.js";
import { byId, h } from "./dom.js";
import * as detail from "./detail.js";
import * as glossary from "./glossary.js";
import { toggleStar } from "./selection.js";

const KEYS = [
  ["j or ↓", "next symbol of the list"], ["k or ↑", "previous symbol"],
  ["s", "star the symbol, or take the star away"], ["n", "write a note"],
  ["w", "weekly or daily bars"], ["l", "logarithmic or linear scale"], ["p", "set a price level"],
  ["/", "search any symbol"], ["Esc", "close the chart"], ["?", "these keys"],
];

export function listen(move) {
  byId("keys-list").replaceChildren(...KEYS.flatMap(([key, does]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, does)]));
  glossary.listen();
  byId("show-keys").addEventListener("click", () => byId("keys").showModal());
  byId("keys-close").addEventListener("click", () => byId("keys").close());
  addEventListener("keydown", (event) => onKey(event, move));
}

function onKey(event, move) {
  const typing = event.target.closest("input:not([type=checkbox]), select, textarea");
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "Escape" && detail.symbol()) location.hash = listAddress();
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const action = actionOf(event.key, event.target.closest(".detail"), move);
  if (!action) return;
  event.preventDefault();
  action();
}

function actionOf(key, inDetail, move) {
  const by = { j: 1, k: -1, ...(inDetail ? {} : { ArrowDown: 1, ArrowUp: -1 }) }[key];
  if (by) return () => move(by);
  if (key === "/") return () => byId("ask-symbol").select();
  if (key === "?") return () => byId("keys").showModal();
  const symbol = detail.symbol();
  if (!symbol) return null;
  const acts = {
    s: () => toggleStar(symbol),
    n: () => byId("note")?.focus(),
    w: () => byId("chart-weekly")?.click(),
    l: () => byId("chart-log")?.click(),
    p: () => byId("chart-level")?.click(),
  };
  return acts[key] ?? null;
}
