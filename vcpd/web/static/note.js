// The note of a symbol: saved when the field is left, or a moment after the last key.
import { h } from "./dom.js";
import { change, noteOf } from "./marks.js";

const PAUSE_MS = 900;
const MAX_CHARACTERS = 2_000;

export function noteField(symbol) {
  const state = h("small", { class: "muted", role: "status" });
  const field = h("textarea", { id: "note", rows: 1, maxlength: MAX_CHARACTERS, placeholder: "Note (n)", "aria-label": "Note" });
  field.value = noteOf(symbol);
  let waiting = 0;
  const save = async () => {
    clearTimeout(waiting);
    if (field.value.trim() === noteOf(symbol)) return;
    try {
      await change(symbol, { note: field.value });
      state.textContent = "saved";
    } catch (error) {
      state.textContent = `not saved: ${error.message}`;
    }
  };
  field.addEventListener("input", () => { state.textContent = ""; clearTimeout(waiting); waiting = setTimeout(save, PAUSE_MS); });
  field.addEventListener("change", save);
  field.addEventListener("keydown", (event) => { if (event.key === "Escape") { event.stopPropagation(); field.blur(); } });
  return h("div", { class: "note-field" }, field, state);
}
