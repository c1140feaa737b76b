// Adds the picked rows to a named watch list.
import { get, send } from "./api.js";
import { h } from "./dom.js";

const names = h("datalist", { id: "picked-list-names" });

// A button that opens a form with the names of the lists; `symbols` are asked for when it is sent.
export function listAdder(symbols, act) {
  const field = h("input", { name: "list", maxlength: 40, required: true, list: names.id, placeholder: "list", "aria-label": "Watch list" });
  const submit = (event) => {
    event.preventDefault();
    act(async () => {
      const done = await send("api/watchlists", { name: field.value.trim(), add: symbols() });
      form.hidden = true;
      return `${done.added} added to ${field.value.trim()}${done.known ? `, ${done.known} in it already` : ""}`;
    });
  };
  const form = h("form", { id: "picked-list", hidden: true, onsubmit: submit }, field, names, h("button", { type: "submit" }, "Add"));
  const open = async () => {
    form.hidden = !form.hidden;
    if (form.hidden) return;
    field.focus();
    const { lists } = await get("api/watchlists");
    names.replaceChildren(...lists.map((list) => h("option", { value: list.name })));
  };
  return { button: h("button", { type: "button", id: "list-picked", onclick: () => act(open) }, "Add to a list"), form };
}
