// Forms of the watch lists: add symbols, set a price level, snooze a symbol, import a file, rename and delete a list.
import { h } from "./dom.js";
import { textOf } from "./file_text.js";
import { fullSymbol } from "./format.js";
import { dated } from "./trade_forms.js";
import { applyChange } from "./watchlist_changes.js";

const KINDS = [["above", "at or above a price"], ["below", "at or below a price"], ["average", "crosses an average"]];
const MEANING = { above: "price", below: "price", average: "sessions" };

const input = (name, type, more = {}) => h("input", { name, type, "aria-label": name, placeholder: name, required: true, ...more });
const listName = () => input("list", "text", { maxlength: 40, list: "watchlist-names" });
const symbolOf = (text) => fullSymbol(text.trim().toUpperCase());
const symbolInput = () => input("symbol", "text", { maxlength: 40, list: "symbols" });

export function listForm(change) {
  const bodyOf = (given) => ({ name: given.list.trim(), add: symbolsOf(given.symbols) });
  return form("watch-symbols", "Add symbols to a list", change, "", bodyOf,
    listName(), input("symbols", "text", { maxlength: 2000, placeholder: "symbols, such as INFY, TCS" }), submit("Add"));
}

const symbolsOf = (text) => text.split(/[\s,]+/).filter(Boolean).map(symbolOf);

export function levelForm(change) {
  const value = input("value", "number", { min: 0, step: "any", placeholder: MEANING.above, "aria-label": "price, or sessions of the average" });
  const onchange = (event) => { value.placeholder = MEANING[event.target.value]; };
  const kind = h("select", { name: "kind", "aria-label": "kind of level", onchange }, KINDS.map(([name, text]) => h("option", { value: name }, text)));
  const bodyOf = (given) => ({ symbol: symbolOf(given.symbol), [given.kind]: Number(given.value), note: given.note });
  return form("set-level", "Set a price level", change, "levels", bodyOf, symbolInput(), kind, value,
    input("note", "text", { required: false, maxlength: 500 }), submit("Set"));
}

export function snoozeForm(change) {
  const bodyOf = (given) => ({ symbol: symbolOf(given.symbol), until: given.until });
  return form("snooze", "Silence the price levels of a symbol", change, "snooze", bodyOf,
    symbolInput(), dated("until", input("until", "date")), submit("Snooze"));
}

export function fileForm(change) {
  const file = h("input", { type: "file", accept: ".txt,.csv,.json,text/plain,text/csv,application/json", "aria-label": "File of symbols", required: true });
  const bodyOf = async (given) => ({
    name: given.list.trim(), file_name: file.files[0].name.slice(0, 200), text: await textOf(file.files[0]),
  });
  return form("import-list", "Import a list", change, "import", bodyOf,
    h("p", { class: "muted" }, "A TradingView list, or an order basket as CSV or JSON that names each tradingsymbol."), listName(), file, submit("Import"));
}

export function renameForm(change) {
  const bodyOf = (given) => ({ name: given.list.trim(), new_name: given["new name"].trim() });
  return form("rename-list", "Rename a list", change, "rename", bodyOf,
    listName(), input("new name", "text", { maxlength: 40 }), submit("Rename"));
}

export function deleteForm(change) {
  return form("delete-list", "Delete a list", change, "delete", (given) => ({ name: given.list.trim() }),
    h("p", { class: "muted" }, "Price levels of its symbols stay."), listName(), submit("Delete"));
}

const submit = (text) => h("button", { type: "submit", class: "primary" }, text);

// A form whose change was taken is emptied; one that was refused stays as it was filled. Meanwhile it is not sent again.
function form(id, title, change, path, bodyOf, ...controls) {
  const onsubmit = async (event) => {
    event.preventDefault();
    const sent = event.target;
    const button = sent.querySelector("button");
    if (button.disabled) return;
    button.disabled = true;
    const body = bodyOf(Object.fromEntries(new FormData(sent)));
    if (await applyChange(change, path, body).finally(() => { button.disabled = false; })) empty(sent);
  };
  return h("form", { id, class: "card scan", onsubmit }, h("h2", {}, title), h("div", { class: "fields" }, controls));
}

function empty(sent) {
  sent.reset();
  sent.querySelector("select")?.dispatchEvent(new Event("change"));
}
