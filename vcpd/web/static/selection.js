// Rows that a user has picked, and what can be done with them: export, star, choose columns.
import { columnMenu } from "./column_menu.js";
import { byId, h } from "./dom.js";
import * as exporting from "./export.js";
import { shown } from "./list_state.js";
import * as marks from "./marks.js";
import { listAdder } from "./picked_list.js";

let listed = () => [];
let changed = () => {};
let outcome = "";
let controls = null;

export const isSelected = (symbol) => shown.picked.has(symbol);

export function listen(rows, onChange) {
  listed = rows;
  changed = onChange;
}

export function select(symbol, is) {
  if (is) shown.picked.add(symbol);
  else shown.picked.delete(symbol);
  outcome = "";
  changed(); // the links of the rows carry what is picked
}

export const toggleStar = (symbol) => act(() => marks.change(symbol, { starred: !marks.isStarred(symbol) }).then(() => ""));

// The picked rows of the list, or all of them where none is picked.
function chosen() {
  const rows = listed().filter((row) => isSelected(row.symbol));
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

async function copyAll() {
  await exporting.copy(chosen());
  return `${chosen().length} symbols copied`;
}

function clear() {
  shown.picked.clear();
  changed();
}

// The controls are built once; drawing changes what they say and which of them are of use.
export function draw() {
  controls ??= build();
  const shownPicks = listed().filter((row) => isSelected(row.symbol)).length;
  const text = outcome || (shownPicks ? `${shownPicks} selected` : `${listed().length} in the list`);
  if (controls.status.textContent !== text) controls.status.textContent = text;
  for (const button of controls.ofPicked) button.hidden = shownPicks === 0;
  if (shownPicks === 0) controls.adder.form.hidden = true;
  controls.columns.renew();
}

function build() {
  const button = (id, text, action) => h("button", { type: "button", id, onclick: () => act(action) }, text);
  const status = h("span", { class: "muted", role: "status" });
  const adder = listAdder(() => chosen().map((row) => row.symbol), act);
  const ofPicked = [button("star-picked", "Star", starAll), adder.button, button("clear-picked", "Clear selection", clear)];
  const columns = columnMenu(() => changed());
  byId("list-actions").replaceChildren(
    status,
    button("export-csv", "CSV", () => exporting.download("setups.csv", exporting.asCsv(chosen()), "text/csv")),
    button("export-tradingview", "TradingView",
      () => exporting.download("setups.txt", exporting.asTradingView(chosen()), "text/plain")),
    button("copy-symbols", "Copy", copyAll), ...ofPicked, adder.form, columns.node,
  );
  return { status, ofPicked, adder, columns };
}
