// What the list shows: group, filters, order, columns and picked rows. The address carries whatever differs from the usual.
import { keepList } from "./address.js";

const USUAL = {
  group: "setup", sort: "to_pivot_pct", descending: false,
  text: "", sector: "", score: 0, rating: 0, passed: false, starred: false, all: false,
};
export const GROUPS = new Map([
  ["setup", ["Setups", "Open bases that were admitted when they passed every gate and have not left since."]],
  ["followed", ["Followed", "Sound bases that left the setups or closed under their stop."]],
  ["above_pivot", ["Above pivot", "Broke out in the last ten sessions, squats included."]],
  ["ended", ["Ended", "Bases that ended at this session."]],
]);
export const STATES = ["NEAR_PIVOT", "FORMING", "UNDER_STOP", "BREAKOUT", "EXTENDED", "SQUAT", "FAILED", "EXPIRED"];
export const shown = { ...USUAL, states: new Set(), columns: null, picked: new Set() };

export function keep() {
  const query = new URLSearchParams();
  for (const [name, usual] of Object.entries(USUAL)) if (shown[name] !== usual) query.set(name, usual === false ? "1" : shown[name]);
  if (shown.states.size) query.set("states", [...shown.states].join("."));
  if (shown.columns) query.set("columns", shown.columns.join("."));
  if (shown.picked.size) query.set("picked", [...shown.picked].join(","));
  keepList(query);
}

// Takes over what an address says; whether anything changed.
export function restore(query) {
  const before = asText();
  for (const [name, usual] of Object.entries(USUAL)) shown[name] = parsed(query.get(name), usual);
  if (!GROUPS.has(shown.group)) shown.group = USUAL.group;
  shown.states = new Set((query.get("states") ?? "").split(".").filter((state) => STATES.includes(state)));
  shown.columns = query.get("columns")?.split(".") ?? null;
  shown.picked = new Set((query.get("picked") ?? "").split(",").filter(Boolean));
  keep();
  return before !== asText();
}

const asText = () => JSON.stringify([shown, [...shown.states], [...shown.picked]]);

function parsed(text, usual) {
  if (text === null) return usual;
  if (usual === false) return text === "1";
  return typeof usual === "number" ? Number(text) || usual : text;
}

export function clearFilters() {
  for (const name of ["text", "sector", "score", "rating", "passed", "starred"]) shown[name] = USUAL[name];
  shown.states.clear();
}

export const inGroup = (row) => shown.all || row.group === shown.group;

export const keeps = (row, isStarred) => inGroup(row) && (shown.states.size === 0 || shown.states.has(row.state)) && row.score >= shown.score
  && (shown.rating === 0 || (row.rating ?? 0) >= shown.rating) && (!shown.passed || row.passed)
  && (!shown.sector || row.sector === shown.sector) && (!shown.starred || isStarred(row.symbol)) && row.symbol.includes(shown.text);

// Of the distance to the pivot its size, so that what is nearest comes first, above the pivot as well.
function sortValue(row) {
  const value = row[shown.sort];
  return shown.sort === "to_pivot_pct" && typeof value === "number" ? Math.abs(value) : value;
}

export function order(a, b) {
  const [x, y] = [sortValue(a), sortValue(b)];
  if (x === y) return a.symbol < b.symbol ? -1 : 1;
  if (x === null || x === undefined) return 1;
  if (y === null || y === undefined) return -1;
  return (x < y ? -1 : 1) * (shown.descending ? -1 : 1);
}
