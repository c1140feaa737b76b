// Position size: the daemon computes it again whenever a number changes.
import { get } from "./api.js";
import { h } from "./dom.js";
import { amount, amountExample as EXAMPLE, currencySign, money, price, whole } from "./format.js";

const EQUITY_KEY = "vcpd.size.equity"; // what a user entered; else the daemon takes [size] equity
const PAUSE_MS = 250;

// The form is built once for a symbol; `renew` takes a changed setup and keeps what a user entered.
export function sizing() {
  const fields = {
    equity: field(`Equity ${currencySign}`, "text", storedEquity()), risk_pct: field("Risk a trade, %", "decimal"),
    entry: field("Entry", "decimal"), stop: field("Stop", "decimal"),
  };
  const answer = h("div", { "aria-live": "polite" });
  let setup = null;
  let waiting = 0;
  let lastRequest = 0;

  async function compute() {
    const request = ++lastRequest;
    const parts = await computed(setup, fields);
    if (request !== lastRequest) return; // an answer to earlier numbers
    const isOpen = answer.querySelector("details")?.open ?? false;
    answer.replaceChildren(...parts);
    if (isOpen) answer.querySelector("details")?.setAttribute("open", "");
  }

  const later = () => { clearTimeout(waiting); waiting = setTimeout(compute, PAUSE_MS); };
  const form = h("form", { class: "size", oninput: later, onsubmit: (event) => event.preventDefault() },
    Object.values(fields).map(({ label }) => label));
  const renew = (next) => {
    setup = next;
    placeHints(fields, setup);
    return compute();
  };
  return { node: h("div", { class: "block", id: "size" }, h("h3", {}, "Size"), form, answer), renew };
}

function field(name, inputmode, value = "") {
  const input = h("input", { type: "text", maxlength: 24, autocomplete: "off", value, inputmode });
  return { input, label: h("label", {}, name, input) };
}

function placeHints({ equity, risk_pct: risk, entry, stop }, setup) {
  equity.input.placeholder = risk.input.placeholder = "settings";
  entry.input.placeholder = setup.pivot ? "from the setup" : "";
  stop.input.placeholder = setup.stop ? "settings" : "";
}

function storedEquity() {
  try { return localStorage.getItem(EQUITY_KEY) ?? ""; } catch { return ""; }
}

function storeEquity(equity) {
  try { localStorage.setItem(EQUITY_KEY, equity); } catch { /* a browser without storage forgets */ }
}

const warning = (text) => h("p", { class: "amber" }, text);

// The size as the daemon computes it, or what is wrong with a number.
async function computed(setup, fields) {
  const query = new URLSearchParams({ symbol: setup.symbol });
  for (const [name, { input }] of Object.entries(fields)) {
    const value = input.value.trim() ? amount(input.value) : null;
    input.setAttribute("aria-invalid", String(Number.isNaN(value)));
    if (Number.isNaN(value)) return [warning(`Expected a number such as 1,000,000 or ${EXAMPLE}, was "${input.value}".`)];
    if (value !== null) query.set(name, value);
  }
  const isComplete = (query.has("stop") || setup.stop) && (query.has("entry") || setup.pivot);
  if (!isComplete) return [h("p", { class: "muted" }, "Give entry and stop.")];
  storeEquity(fields.equity.input.value);
  try {
    return shown(await get(`api/size?${query}`));
  } catch (error) {
    return [warning(error.message)];
  }
}

function shown(size) {
  const steps = size.steps.map((step) => h("li", { class: step.bound ? "bound" : null }, step.text, step.bound ? " ← binds" : null));
  const text = ` shares · ${money(size.value)} · at risk ${money(size.risk_amount)} (${size.risk_pct.toFixed(2)} %)`
    + ` · ${price(size.entry)} to the ${size.stop_name} stop ${price(size.stop)}`;
  return [
    h("p", {}, h("span", { class: "quantity" }, whole(size.quantity)), text),
    ...size.steps.filter((step) => step.name === "other_stop").map((step) => h("p", { class: "muted" }, step.text)),
    size.market ? h("p", { class: "muted" }, `Market: ${size.market}; the quantity does not depend on it.`) : null,
    size.reason ? h("p", { class: "amber" }, size.reason) : null,
    h("details", {}, h("summary", { class: "muted" }, "Every step"), h("ul", { class: "lines steps" }, steps)),
  ].filter(Boolean);
}
