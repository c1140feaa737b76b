// The note of a closed trade in its row: read, and after a click written anew.
import { h } from "./dom.js";
import { bare, shortDay } from "./format.js";
import { change, submitting } from "./trade_forms.js";

const MAX_CHARACTERS = 1_000;

// `changes` holds the message and what draws the view again.
export function noteCell(trade, changes) {
  const place = h("td", { class: "text" });
  const text = [trade.note, trade.exit_note].filter(Boolean).join("; ");
  const show = () => place.replaceChildren(text ? `${text} ` : "", editButton(trade, text, () => write(place, trade, changes, show)));
  show();
  return place;
}

const editButton = (trade, text, onclick) => h("button", {
  type: "button", class: "plain", "aria-label": `Note on ${bare(trade.symbol)} sold ${shortDay(trade.closed)}`, onclick,
}, text ? "edit" : "note");

function write(place, trade, { message, renew }, show) {
  const field = h("input", { name: "note", maxlength: MAX_CHARACTERS, value: trade.exit_note, "aria-label": `Note on the sale of ${bare(trade.symbol)}` });
  const body = () => ({ symbol: trade.symbol, session: trade.closed, note: field.value });
  const submit = (form) => change(form, message, renew, "api/journal/note", body);
  const form = h("form", { class: "trade-note", onsubmit: submitting(submit) }, field, h("button", { type: "submit" }, "Save"));
  form.addEventListener("keydown", (event) => { if (event.key === "Escape") { event.stopPropagation(); show(); } });
  place.replaceChildren(form);
  field.focus();
}
