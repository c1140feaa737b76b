// Scans: an expression or a preset, the symbols that match with their values, and the clause that fails first.
import { get, remove, send } from "./api.js";
import { byId, errorNotice, h, notice } from "./dom.js";
import { bare, day, fullSymbol, price, whole } from "./format.js";
import { address } from "./address.js";

let drawn = false;

export async function show() {
  if (drawn) return;
  drawn = true;
  const view = byId("view-scans");
  try {
    const scans = (await get("api/scans")).items;
    view.replaceChildren(h("div", { class: "page" }, form(scans), h("div", { id: "scan-result", "aria-live": "polite" })));
  } catch (error) {
    drawn = false;
    view.replaceChildren(errorNotice(error, show));
  }
}

function form(scans) {
  const expression = h("textarea", { id: "scan-expression", rows: 3, maxlength: 1000, required: true, spellcheck: "false", "aria-label": "Scan", placeholder: "rs >= 85 and close > sma(50)" });
  const choice = h("select", { id: "scan-name", "aria-label": "Saved scan or preset" });
  const symbol = h("input", { id: "scan-symbol", type: "search", maxlength: 40, list: "symbols", placeholder: "Also explain a symbol", "aria-label": "Explain a symbol" });
  const session = h("input", { id: "scan-session", type: "date", "aria-label": "After this session; empty: the latest" });
  const submit = (event) => {
    event.preventDefault();
    run(expression.value.trim(), symbol.value.trim().toUpperCase(), session.value);
  };
  return h("form", { id: "scan-form", class: "card scan", onsubmit: submit }, choice, expression,
    h("div", { class: "fields" }, symbol, session, h("button", { type: "submit", class: "primary" }, "Scan")), savedScanFields(scans, choice, expression));
}

// Saves the scan under a name, or removes the saved one that is chosen. A followed one alerts when symbols enter or leave.
function savedScanFields(listed, choice, expression) {
  let scans = listed;
  const name = h("input", { id: "scan-save-name", maxlength: 41, placeholder: "Name: a-z, 0-9, _", "aria-label": "Name under which to save the scan" });
  const followed = h("input", { id: "scan-followed", type: "checkbox" });
  const said = h("span", { id: "scan-saved", class: "muted", role: "status" });
  const removal = h("button", { id: "scan-remove", type: "button", hidden: true, onclick: () => apply(() => remove(`api/scans/${encodeURIComponent(name.value)}`), "removed") }, "Remove");
  const save = h("button", { id: "scan-save", type: "button", onclick: () => apply(() => send("api/scans", { name: name.value.trim(), expression: expression.value.trim(), followed: followed.checked }), "saved") }, "Save");
  const fill = () => choice.replaceChildren(h("option", { value: "" }, "Presets and saved scans"),
    ...scans.map((scan) => h("option", { value: scan.name, title: scan.source ?? "" }, `${scan.name.replaceAll("_", " ")}: ${scan.title}${scan.followed ? ", followed" : ""}`)));
  const choose = () => {
    const chosen = scans.find((scan) => scan.name === choice.value);
    expression.value = chosen?.expression ?? expression.value;
    name.value = chosen?.is_stored ? chosen.name : "";
    followed.checked = Boolean(chosen?.is_stored && chosen.followed);
    removal.hidden = !chosen?.is_stored;
    said.textContent = "";
  };
  const apply = async (request, done) => {
    const saved = name.value.trim();
    try {
      scans = (await request()).items;
      fill();
      choice.value = scans.some((scan) => scan.is_stored && scan.name === saved) ? saved : "";
      choose();
      said.textContent = `${saved} is ${done}.`;
    } catch (error) {
      said.textContent = error.message;
    }
  };
  choice.addEventListener("change", choose);
  fill();
  return h("div", { class: "fields" }, name, h("label", {}, followed, " follow"), save, removal, said);
}

async function run(expression, symbol, session) {
  const place = byId("scan-result");
  if (!expression) return;
  const query = new URLSearchParams({ expression, ...(symbol ? { symbol: fullSymbol(symbol) } : {}), ...(session ? { as_of: session } : {}) });
  try {
    const result = await get(`api/scan?${query}`);
    place.replaceChildren(...[summary(result), explained(result.explained), matches(result)].filter(Boolean));
  } catch (error) {
    place.replaceChildren(notice("The scan was not evaluated", error.message));
  }
}

function summary(result) {
  const failing = Object.entries(result.failures).map(([text, count]) => h("tr", {}, h("td", {}, h("code", {}, text)), h("td", {}, whole(count))));
  return h("article", { class: "card" }, h("header", {}, h("h2", {}, `After ${day(result.as_of)}`), h("span", { class: "now" }, `${whole(result.count)} of ${whole(result.evaluated)} match`)),
    h("table", { class: "small clauses" }, h("thead", {}, h("tr", {}, ["clause", "fail first here"].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, failing)));
}

// Ratings, counts and volumes are whole numbers; a column in which any value has decimals shows them for all.
const isFraction = (value) => typeof value === "number" && !Number.isInteger(value);
const text = (value, decimals = isFraction(value)) => (value === null ? "unknown" : typeof value === "number" ? (decimals ? price : whole)(value) : String(value));
const mark = (holds) => (holds === null ? "unknown" : holds ? "holds" : "fails");

function explained(row) {
  if (!row) return null;
  const first = row.clauses.find((clause) => !clause.holds);
  const lines = row.clauses.map((clause) => h("tr", {}, h("td", {}, h("code", {}, clause.text)),
    h("td", {}, Object.entries(clause.values).map(([name, value]) => `${name} = ${text(value)}`).join(", ")),
    h("td", { class: clause.holds ? "up" : "amber" }, clause === first ? `${mark(clause.holds)}, the first` : mark(clause.holds))));
  return h("article", { class: "card explained" }, h("header", {}, h("h2", {}, `${bare(row.symbol)} ${row.matches ? "matches" : "does not match"}`)),
    row.reason ? h("p", { class: "muted" }, row.reason) : h("table", { class: "small clauses" }, h("tbody", {}, lines)));
}

function matches(result) {
  if (!result.items.length) return null;
  const names = [...new Set(result.items[0].clauses.flatMap((clause) => Object.keys(clause.values)))];
  const rows = result.items.map((row) => ({ symbol: row.symbol, values: Object.assign({}, ...row.clauses.map((clause) => clause.values)) }));
  const decimals = Object.fromEntries(names.map((name) => [name, rows.some(({ values }) => isFraction(values[name]))]));
  const line = ({ symbol, values }) => h("tr", {}, h("td", {}, h("a", { href: address(symbol) }, bare(symbol))), names.map((name) => h("td", {}, text(values[name], decimals[name]))));
  return h("article", { class: "card matches" }, h("table", { class: "small" }, h("thead", {}, h("tr", {}, ["symbol", ...names].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows.map(line))));
}
