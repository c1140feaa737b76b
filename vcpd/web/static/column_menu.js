// The menu in which a user chooses the columns of the list.
import { COLUMNS } from "./columns.js";
import { h } from "./dom.js";
import { shown } from "./list_state.js";

export function columnMenu(changed) {
  const boxes = new Map(COLUMNS.slice(1).map(({ key }) => [key, h("input", { type: "checkbox", "data-column": key, onchange: choose })]));

  // The columns stay in their order, whatever the order in which they were chosen.
  function choose() {
    shown.columns = COLUMNS.filter(({ key }) => boxes.get(key)?.checked ?? true).map(({ key }) => key);
    changed();
  }

  function useUsual() {
    shown.columns = null;
    changed();
  }

  function renew() {
    const keys = new Set(shown.columns ?? COLUMNS.filter(({ optional }) => !optional).map(({ key }) => key));
    for (const [key, box] of boxes) box.checked = keys.has(key);
  }

  const labels = COLUMNS.slice(1).map(({ key, head }) => h("label", {}, boxes.get(key), ` ${head}`));
  const node = h("details", { class: "menu" }, h("summary", {}, "Columns"),
    h("div", { class: "choices" }, labels, h("button", { type: "button", onclick: useUsual }, "As usual")));
  return { node, renew };
}
