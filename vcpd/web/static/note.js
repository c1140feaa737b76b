// The note of a symbol: saved when the field is left, or a moment after the last key.
import { h } from "./dom.js";
import { change, noteOf, onChange } from "./marks.js";

const PAUSE_MS = 900;
const MAX_CHARACTERS = 2_000;
let takeStored = () => {}; // of the field that is shown

onChange(() => takeStored());

export function noteField(symbol) {
  const state = h("small", { class: "muted", role: "status" });
  const field = h("textarea", { id: "note", rows: 1, maxlength: MAX_CHARACTERS, placeholder: "Note (n)", "aria-label": "Note" });
  let stored = field.value = noteOf(symbol);
  let waiting = 0;
  // What the daemon keeps, as soon as it is known, unless a user has begun to write.
  takeStored = () => {
    const wasUntouched = field.value === stored;
    stored = noteOf(symbol);
    if (wasUntouched && field.value !== stored) field.value = stored;
  };
  const save = async () => {
    clearTimeout(waiting);
    const note = field.value;
    if (note.trim() === noteOf(symbol)) return;
    try {
      await change(symbol, { note });
      if (field.value === note) state.textContent = "saved";
    } catch (error) {
      state.textContent = `not saved: ${error.message}`;
    }
  };
  field.addEventListener("input", () => { state.textContent = ""; clearTimeout(waiting); waiting = setTimeout(save, PAUSE_MS); });
  field.addEventListener("change", save);
  field.addEventListener("keydown", (event) => { if (event.key === "Escape") { event.stopPropagation(); field.blur(); } });
  return h("div", { class: "note-field" }, field, state);
}
