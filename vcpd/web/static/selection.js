// Rows that a user has picked, and what can be done with them: export, star, choose columns.
import { byId, h } from "./dom.js";
import * as exporting from "./export.js";
import { COLUMNS } from "./columns.js";
import { shown } from "./list_state.js";
import * as marks from "./marks.js";

const picked = new Set();
let listed = () => [];
let changed = () => {};
let outcome = "";

export const isSelected = (symbol) => picked.has(symbol);

export function listen(rows, onChange) {
  listed = rows;
  changed = onChange;
}

export function select(symbol, is) {
  if (is) picked.add(symbol);
  else picked.delete(symbol);
  draw();
}

export async function toggleStar(symbol) {
  await act(() => marks.change(symbol, { starred: !marks.isStarred(symbol) }));
  const shownStar = document.querySelector(`#detail[data-symbol="${symbol}"] .star`);
  shownStar?.setAttribute("aria-pressed", String(marks.isStarred(symbol)));
  if (shownStar) shownStar.textContent = marks.isStarred(symbol) ? "★" : "☆";
}

// The picked rows of the list, or all of them where none is picked.
function chosen() {
  const rows = listed().filter((row) => picked.has(row.symbol));
  return rows.length ? rows : listed();
}

async function act(action) {
  try {
    outcome = (await action()) ?? "";
  } catch (error) {
    outcome = error.message;
  }
  draw();
}

async function starAll() {
  for (const row of chosen()) if (!marks.isStarred(row.symbol)) await marks.change(row.symbol, { starred: true });
}

export function draw() {
  const shownPicks = listed().filter((row) => picked.has(row.symbol)).length;
  const button = (id, text, action) => h("button", { type: "button", id, onclick: () => act(action) }, text);
  byId("list-actions").replaceChildren(
    h("span", { class: "muted", role: "status" }, outcome || (shownPicks ? `${shownPicks} selected` : `${listed().length} in the list`)),
    button("export-csv", "CSV", () => exporting.download("setups.csv", exporting.asCsv(chosen()), "text/csv")),
    button("export-tradingview", "TradingView", () => exporting.download("setups.txt", exporting.asTradingView(chosen()), "text/plain")),
    button("copy-symbols", "Copy", async () => { await exporting.copy(chosen()); return `${chosen().length} symbols copied`; }),
    ...(shownPicks ? [button("star-picked", "Star", starAll), button("clear-picked", "Clear selection", () => { picked.clear(); changed(); })] : []),
    columnMenu(),
  );
}

function columnMenu() {
  const keys = new Set(shown.columns ?? COLUMNS.filter((column) => !column.optional).map((column) => column.key));
  const toggle = (key, is) => {
    if (is) keys.add(key);
    else keys.delete(key);
    shown.columns = COLUMNS.filter((column) => keys.has(column.key)).map((column) => column.key);
    changed();
  };
  const boxes = COLUMNS.slice(1).map((column) => h("label", {}, h("input", {
    type: "checkbox", "data-column": column.key, checked: keys.has(column.key), onchange: (event) => toggle(column.key, event.target.checked),
  }), ` ${column.head}`));
  return h("details", { class: "menu", open: byId("list-actions").querySelector("details")?.open ?? false }, h("summary", {}, "Columns"),
    h("div", { class: "choices" }, boxes, h("button", { type: "button", onclick: () => { shown.columns = null; changed(); } }, "As usual")));
}
