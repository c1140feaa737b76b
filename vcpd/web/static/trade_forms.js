// Forms that add a trade or import a file of trades, and the message that says what was taken.
import { send } from "./api.js";
import { h, notice } from "./dom.js";
import { textOf } from "./file_text.js";
import { fullSymbol } from "./format.js";

export function addForm(message, renew) {
  const side = h("select", { name: "side", "aria-label": "side" }, h("option", { value: "buy" }, "bought"), h("option", { value: "sell" }, "sold"));
  const fields = h("div", { class: "fields" },
    input("symbol", "text", { maxlength: 40, list: "symbols" }), side, dated("day", input("date", "date")),
    input("shares", "number", { min: 1, step: 1, required: false }), input("price", "number", { min: 0, required: false }),
    input("stop", "number", { min: 0, required: false, placeholder: "initial stop" }),
    input("rules", "text", { required: false, maxlength: 40, list: "rule-sets", placeholder: "set of rules" }),
    h("button", { type: "submit", class: "primary" }, "Add"));
  const submit = (form) => {
    const given = Object.fromEntries(new FormData(form));
    const isHolding = given.side === "buy" && !given.shares && !given.price;
    return isHolding ? change(form, message, renew, "api/positions/holding", () => holdingOf(given)) : change(form, message, renew, "api/positions", () => tradeOf(given));
  };
  return h("form", { id: "add-trade", class: "card scan", onsubmit: submitting(submit) }, h("h2", {}, "Add a trade"),
    h("p", { class: "muted" }, "If you leave out shares and price, the purchase is a holding that the broker reports, at its average price."), fields);
}

export function rulesForm(message, renew) {
  const bodyOf = (given) => ({ symbol: symbolOf(given), rules: given.rules.trim(), session: given.date || null });
  return purchaseForm("choose-rules", "Choose sell rules", "A name of [positions] rule_sets, or default; for all purchases of a symbol, or for those of one day.",
    "Choose", "api/positions/rules", bodyOf, { message, renew }, input("rules", "text", { maxlength: 40, list: "rule-sets", placeholder: "set of rules" }));
}

export function stopForm(message, renew) {
  const bodyOf = (given) => ({ symbol: symbolOf(given), stop: numberOf(given.stop), session: given.date || null });
  return purchaseForm("set-stop", "Set the initial stop", "For all purchases of a symbol, or for those of one day; a price adjusted to today.",
    "Set", "api/positions/stop", bodyOf, { message, renew }, input("stop", "number", { min: 0 }));
}

export function removalForm(message, renew) {
  const bodyOf = (given) => ({ symbol: symbolOf(given), session: given.date || null });
  return purchaseForm("remove-trades", "Remove trades", "All stored trades of a symbol, purchases and sales, or those of one day.",
    "Remove", "api/positions/remove", bodyOf, { message, renew });
}

// A form about what is stored of a symbol, all of it or that of a day.
function purchaseForm(id, title, text, action, path, bodyOf, { message, renew }, ...controls) {
  const fields = h("div", { class: "fields" },
    input("symbol", "text", { maxlength: 40, list: "symbols" }), ...controls,
    dated("only this day", input("date", "date", { required: false, "aria-label": "only this day" })), h("button", { type: "submit", class: "primary" }, action));
  const submit = (form) => change(form, message, renew, path, () => bodyOf(Object.fromEntries(new FormData(form))));
  return h("form", { id, class: "card scan", onsubmit: submitting(submit) }, h("h2", {}, title), h("p", { class: "muted" }, text), fields);
}

export function importForm(message, renew) {
  const file = h("input", { type: "file", accept: ".csv,text/csv", "aria-label": "File of trades", required: true });
  const contents = async () => ({ name: file.files[0].name.slice(0, 200), trades: await textOf(file.files[0]) });
  const submit = (form) => change(form, message, renew, "api/positions/import", contents);
  return h("form", { id: "import-trades", class: "card scan", onsubmit: submitting(submit) }, h("h2", {}, "Import trades"),
    h("p", { class: "muted" }, "A tradebook that Zerodha's Console exports, or a CSV file with the columns symbol, date, side, quantity and price; stop is optional."),
    h("div", { class: "fields" }, file, h("button", { type: "submit", class: "primary" }, "Import")));
}

const input = (name, type, more = {}) => h("input", { name, type, "aria-label": more.placeholder ?? name, placeholder: name, required: true, step: "any", ...more });

// A field of a date does not show its placeholder: it gets a visible label.
export const dated = (text, field) => h("label", { class: "muted" }, `${text} `, field);

const numberOf = (text) => (text ? Number(text) : null);

const holdingOf = (given) => ({
  symbol: symbolOf(given), session: given.date, stop: numberOf(given.stop),
  ...(given.rules.trim() ? { rules: given.rules.trim() } : {}),
});

const tradeOf = (given) => ({ ...holdingOf(given), side: given.side, quantity: numberOf(given.shares), price: numberOf(given.price) });

const symbolOf = (given) => fullSymbol(given.symbol.trim().toUpperCase());

// While a form is being sent it is not sent again.
export function submitting(submit) {
  return async (event) => {
    event.preventDefault();
    const form = event.target;
    const button = form.querySelector("button");
    if (button.disabled) return;
    button.disabled = true;
    await submit(form).finally(() => { button.disabled = false; });
  };
}

// A form whose trades were taken is emptied; one that was refused stays as it was filled.
export async function change(form, message, renew, path, bodyOf) {
  try {
    const done = await send(path, await bodyOf());
    await renew();
    message.replaceChildren(h("p", {}, counted(done)), h("ul", { class: "lines" }, [...done.refused, ...done.left_out].map(reason)));
    form.reset();
  } catch (error) {
    message.replaceChildren(notice("Not taken", error.message));
  }
}

function counted(done) {
  const counts = [[done.added, "added"], [done.known, "stored already"], [done.removed, "removed"], [done.changed, "changed"]].filter(([count]) => count);
  return counts.map(([count, word]) => `${count} ${word}`).join(", ") || "Nothing was changed";
}

const reason = (row) => h("li", { class: "amber" }, `${row.place}: ${row.reason}`);
