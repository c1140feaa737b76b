// The Scans view: an expression or a preset to run, and the place of its result.
import { get } from "./api.js";
import { byId, errorNotice, h, notice } from "./dom.js";
import { fullSymbol } from "./format.js";
import { scanResult } from "./scan_result.js";
import { savedScanFields } from "./saved_scans.js";

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
  const { expression, choice, symbol, session } = fields();
  const submit = (event) => {
    event.preventDefault();
    run(expression.value.trim(), symbol.value.trim().toUpperCase(), session.value);
  };
  return h("form", { id: "scan-form", class: "card scan", onsubmit: submit }, choice, expression,
    h("div", { class: "fields" }, symbol, session, h("button", { type: "submit", class: "primary" }, "Scan")),
    savedScanFields(scans, choice, expression));
}

const fields = () => ({
  expression: h("textarea", {
    id: "scan-expression", rows: 3, maxlength: 1000, required: true, spellcheck: "false",
    "aria-label": "Scan", placeholder: "rs >= 85 and close > sma(50)",
  }),
  choice: h("select", { id: "scan-name", "aria-label": "Saved scan or preset" }),
  symbol: h("input", {
    id: "scan-symbol", type: "search", maxlength: 40, list: "symbols",
    placeholder: "Also explain a symbol", "aria-label": "Explain a symbol",
  }),
  session: h("input", { id: "scan-session", type: "date", "aria-label": "Session to evaluate; leave it empty for the latest" }),
});

async function run(expression, symbol, session) {
  if (!expression) return;
  const place = byId("scan-result");
  const asked = { expression, ...(symbol ? { symbol: fullSymbol(symbol) } : {}), ...(session ? { as_of: session } : {}) };
  try {
    place.replaceChildren(...scanResult(await get(`api/scan?${new URLSearchParams(asked)}`)));
  } catch (error) {
    place.replaceChildren(notice("The scan was not evaluated", error.message));
  }
}
