// Saves a scan under a name, or removes the saved scan that is chosen. A followed scan alerts when symbols enter or leave.
import { remove, send } from "./api.js";
import { h } from "./dom.js";

export function savedScanFields(listed, choice, expression) {
  let scans = listed;
  const { name, followed, said, removal, save } = build();

  function list() {
    const first = h("option", { value: "" }, "Presets and saved scans");
    choice.replaceChildren(first, ...scans.map(option));
  }

  function choose() {
    const chosen = scans.find((scan) => scan.name === choice.value);
    const isStored = Boolean(chosen?.is_stored);
    expression.value = chosen?.expression ?? expression.value;
    name.value = isStored ? chosen.name : "";
    followed.checked = isStored && chosen.followed;
    removal.hidden = !isStored;
    said.textContent = "";
  }

  async function apply(request, done) {
    const saved = name.value.trim();
    try {
      scans = (await request()).items;
      list();
      choice.value = scans.some((scan) => scan.is_stored && scan.name === saved) ? saved : "";
      choose();
      said.textContent = `${saved} is ${done}.`;
    } catch (error) {
      said.textContent = error.message;
    }
  }

  const scan = () => ({ name: name.value.trim(), expression: expression.value.trim(), followed: followed.checked });
  save.addEventListener("click", () => apply(() => send("api/scans", scan()), "saved"));
  removal.addEventListener("click", () => apply(() => remove(`api/scans/${encodeURIComponent(name.value)}`), "removed"));
  choice.addEventListener("change", choose);
  list();
  return h("div", { class: "fields" }, name, h("label", {}, followed, " follow"), save, removal, said);
}

const build = () => ({
  name: h("input", {
    id: "scan-save-name", maxlength: 41, placeholder: "Name: a-z, 0-9, _", "aria-label": "Name under which to save the scan",
  }),
  followed: h("input", { id: "scan-followed", type: "checkbox" }),
  said: h("span", { id: "scan-saved", class: "muted", role: "status" }),
  removal: h("button", { id: "scan-remove", type: "button", hidden: true }, "Remove"),
  save: h("button", { id: "scan-save", type: "button" }, "Save"),
});

function option(scan) {
  const text = `${scan.name.replaceAll("_", " ")}: ${scan.title}${scan.followed ? ", followed" : ""}`;
  return h("option", { value: scan.name, title: scan.source ?? "" }, text);
}
