// What a scan found: how many fail at which clause, one symbol explained, and the matches with their values.
import { card, rowOf, symbolLink, table, titled } from "./cards.js";
import { h } from "./dom.js";
import { bare, day, price, whole } from "./format.js";

export const scanResult = (result) => [summary(result), explained(result.explained), matches(result)].filter(Boolean);

function summary(result) {
  const now = `${whole(result.count)} of ${whole(result.evaluated)} match`;
  const failing = Object.entries(result.failures).map(([text, count]) => rowOf(h("code", {}, text), whole(count)));
  return card("", titled(`After ${day(result.as_of)}`, now), table("clauses", ["clause", "fail first here"], failing));
}

// Ratings, counts and volumes are whole numbers; a column in which any value has decimals shows them for all.
const isFraction = (value) => typeof value === "number" && !Number.isInteger(value);

function shown(value, decimals = isFraction(value)) {
  if (value === null) return "unknown";
  if (typeof value !== "number") return String(value);
  return decimals ? price(value) : whole(value);
}

const outcome = (holds) => (holds === null ? "unknown" : holds ? "holds" : "fails");

function explained(row) {
  if (!row) return null;
  const title = `${bare(row.symbol)} ${row.matches ? "matches" : "does not match"}`;
  if (row.reason) return card("explained", titled(title), h("p", { class: "muted" }, row.reason));
  const first = row.clauses.find((clause) => !clause.holds);
  const rows = row.clauses.map((clause) => clauseRow(clause, clause === first));
  return card("explained", titled(title), table("clauses", null, rows));
}

function clauseRow(clause, isFirst) {
  const values = Object.entries(clause.values).map(([name, value]) => `${name} = ${shown(value)}`).join(", ");
  const text = isFirst ? `${outcome(clause.holds)}, the first` : outcome(clause.holds);
  return h("tr", {},
    h("td", {}, h("code", {}, clause.text)),
    h("td", {}, values),
    h("td", { class: clause.holds ? "up" : "amber" }, text));
}

function matches(result) {
  if (!result.items.length) return null;
  const names = [...new Set(result.items[0].clauses.flatMap((clause) => Object.keys(clause.values)))];
  const rows = result.items.map(({ symbol, clauses }) => ({ symbol, values: Object.assign({}, ...clauses.map((clause) => clause.values)) }));
  const decimals = names.map((name) => rows.some(({ values }) => isFraction(values[name])));
  const line = ({ symbol, values }) => rowOf(symbolLink(symbol), ...names.map((name, at) => shown(values[name], decimals[at])));
  return card("matches", table("", ["symbol", ...names], rows.map(line)));
}
