// Sets a price level from the chart: a click or a press takes its price, the field takes another one by keyboard.
import { send } from "./api.js";
import { h } from "./dom.js";
import { bare, price } from "./format.js";

const MAX_NOTE = 500;
const round = (value) => Math.round(value * 100) / 100;

// Draws a form into `readout` and the level onto the chart; `done` is called once it is set, or with "" if not.
export function askForLevel(drawn, readout, symbol, done) {
  const close = round(drawn.bars().close.at(-1));
  const field = h("input", { type: "number", name: "price", min: 0.01, step: "any", required: true, value: close, "aria-label": "Price of the level" });
  const note = h("input", { name: "note", maxlength: MAX_NOTE, placeholder: "note", "aria-label": "Note on the level" });
  const meaning = h("span", { class: "muted", role: "status" });
  const line = drawn.candles.createPriceLine({ price: close, lineStyle: 2, axisLabelVisible: true, title: "level" });
  const kind = () => (Number(field.value) >= close ? "above" : "below");
  const show = () => {
    line.applyOptions({ price: Number(field.value) });
    meaning.textContent = `alert at or ${kind()} ${price(Number(field.value))}`;
  };
  const leave = (text) => {
    drawn.candles.removePriceLine(line);
    readout.textContent = text;
    done(text);
  };
  const set = async (event) => {
    event.preventDefault();
    const level = { [kind()]: Number(field.value), note: note.value };
    try {
      await send("api/watchlists/levels", { symbol, ...level });
      leave(`${bare(symbol)}: ${meaning.textContent} is set`);
    } catch (error) {
      meaning.textContent = error.message;
    }
  };
  field.addEventListener("input", show);
  const form = h("form", { id: "chart-level-form", onsubmit: set }, field, note, h("button", { type: "submit" }, "Set"), " ", meaning);
  form.addEventListener("keydown", (event) => { if (event.key === "Escape") { event.stopPropagation(); leave(""); } });
  readout.replaceChildren(form);
  show();
  field.select();
  return {
    leave,
    take(at) {
      const value = drawn.candles.coordinateToPrice(at.point?.y ?? 0);
      if (value === null || value <= 0) return;
      field.value = round(value);
      show();
    },
  };
}
