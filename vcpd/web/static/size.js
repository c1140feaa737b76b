// Position size: the daemon computes it again whenever a number changes.
import { get } from "./api.js";
import { h } from "./dom.js";
import { amount, amountExample as EXAMPLE, currencySign, money, price, whole } from "./format.js";

const EQUITY_KEY = "vcpd.size.equity"; // what a user entered; else the daemon takes [size] equity
const PAUSE_MS = 250;

export function sizing(setup) {
  const answer = h("div", { "aria-live": "polite" });
  const fields = {
    equity: field(`Equity ${currencySign}`, storedEquity(), 1000, "settings"),
    risk_pct: field("Risk a trade, %", "", 0.25, "settings"),
    entry: field("Entry", "", 0.05, setup.pivot ? "from the setup" : ""),
    stop: field("Stop", "", 0.05, setup.stop ? "settings" : ""),
  };
  let waiting = 0;
  const later = () => { clearTimeout(waiting); waiting = setTimeout(() => compute(setup, fields, answer), PAUSE_MS); };
  const form = h("form", { class: "size", oninput: later, onsubmit: (event) => event.preventDefault() }, Object.values(fields).map((one) => one.label));
  compute(setup, fields, answer);
  return h("div", { class: "block", id: "size" }, h("h3", {}, "Size"), form, answer);
}

function field(name, value, step, placeholder) {
  const input = h("input", { type: "text", maxlength: 24, autocomplete: "off", value, inputmode: name.startsWith("Equity") ? "text" : "decimal", "data-step": step, placeholder });
  return { input, label: h("label", {}, name, input) };
}

function storedEquity() {
  try { return localStorage.getItem(EQUITY_KEY) ?? ""; } catch { return ""; }
}

function storeEquity(equity) {
  try { localStorage.setItem(EQUITY_KEY, equity); } catch { /* a browser without storage forgets */ }
}

async function compute(setup, fields, answer) {
  const query = new URLSearchParams({ symbol: setup.symbol });
  for (const [name, { input }] of Object.entries(fields)) {
    if (!input.value.trim()) continue;
    const value = amount(input.value);
    input.setAttribute("aria-invalid", String(Number.isNaN(value)));
    if (Number.isNaN(value)) {
      answer.replaceChildren(h("p", { class: "amber" }, `Expected a number such as 1,000,000 or ${EXAMPLE}, was "${input.value}".`));
      return;
    }
    query.set(name, value);
  }
  if (!(query.has("stop") || setup.stop) || !(query.has("entry") || setup.pivot)) {
    answer.replaceChildren(h("p", { class: "muted" }, "Give entry and stop."));
    return;
  }
  storeEquity(fields.equity.input.value);
  try {
    answer.replaceChildren(...shown(await get(`api/size?${query}`)));
  } catch (error) {
    answer.replaceChildren(h("p", { class: "amber" }, error.message));
  }
}

function shown(size) {
  const steps = size.steps.map((step) => h("li", { class: step.bound ? "bound" : null }, step.text, step.bound ? " ← binds" : null));
  return [
    h("p", {}, h("span", { class: "quantity" }, whole(size.quantity)), ` shares · ${money(size.value)} · at risk ${money(size.risk_amount)} (${size.risk_pct.toFixed(2)} %) · ${price(size.entry)} to the ${size.stop_name} stop ${price(size.stop)}`),
    ...size.steps.filter((step) => step.name === "other_stop").map((step) => h("p", { class: "muted" }, step.text)),
    size.market ? h("p", { class: "muted" }, `Market: ${size.market}; the quantity does not depend on it.`) : null,
    size.reason ? h("p", { class: "amber" }, size.reason) : null,
    h("details", {}, h("summary", { class: "muted" }, "Every step"), h("ul", { class: "lines steps" }, steps)),
  ].filter(Boolean);
}
