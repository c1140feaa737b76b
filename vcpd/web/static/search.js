// The search: suggests every symbol of the universe by its letters or its company's name.
import { address } from "./address.js";
import { get } from "./api.js";
import { byId, h } from "./dom.js";
import { bare, fullSymbol } from "./format.js";

let companies = null;

// Every symbol with its company's name; asked for once, and again after a failure.
export function known() {
  companies ??= get("api/symbols").then((answer) => new Map(answer.items.map((company) => [company.symbol, company])))
    .catch(() => { companies = null; return new Map(); });
  return companies;
}

export function listen() {
  byId("ask").addEventListener("submit", ask);
  byId("ask-symbol").addEventListener("focus", suggest);
}

async function suggest() {
  const all = await known();
  if (byId("symbols").childElementCount === all.size) return;
  const option = (company) => h("option", { value: bare(company.symbol), label: company.name ?? "" });
  byId("symbols").replaceChildren(...[...all.values()].map(option));
}

function ask(event) {
  event.preventDefault();
  const field = byId("ask-symbol");
  const name = field.value.trim().toUpperCase();
  field.value = "";
  field.blur();
  if (name) location.hash = address(fullSymbol(name));
}
