// The controls above the list: groups, states, sector, words and least values.
import { byId, h, update } from "./dom.js";
import { shortDay, words } from "./format.js";
import { GROUPS, STATES, clearFilters, inGroup, shown } from "./list_state.js";

let board = null;
let changed = () => {};

export function listen(onChange) {
  changed = onChange;
  const bind = (id, event, take) => byId(id).addEventListener(event, (e) => { take(e.target); changed(); });
  bind("filter-text", "input", (field) => { shown.text = field.value.trim().toUpperCase(); });
  bind("filter-sector", "change", (field) => { shown.sector = field.value; });
  bind("filter-score", "input", (field) => { shown.score = Number(field.value) || 0; });
  bind("filter-rating", "input", (field) => { shown.rating = Number(field.value) || 0; });
  bind("filter-passed", "change", (field) => { shown.passed = field.checked; });
  bind("filter-starred", "change", (field) => { shown.starred = field.checked; });
  bind("filter-all", "change", (field) => { shown.all = field.checked; });
  byId("filters").addEventListener("submit", (e) => e.preventDefault());
}

export function draw(current) {
  board = current;
  drawFields();
  drawGroups();
  drawStates();
  drawSectors();
}

// The fields as the state has them, but for the one in which a user is typing.
function drawFields() {
  const values = { "filter-text": shown.text, "filter-score": shown.score || "", "filter-rating": shown.rating || "" };
  for (const [id, value] of Object.entries(values)) if (byId(id) !== document.activeElement) byId(id).value = value;
  byId("filter-passed").checked = shown.passed;
  byId("filter-starred").checked = shown.starred;
  byId("filter-all").checked = shown.all;
}

function drawGroups() {
  const chosen = shown.all ? null : shown.group;
  update(byId("groups"), { chosen, counts: board.groups, market: board.market ?? null }, ({ counts, market }) => [
    ...[...GROUPS].map(([group, [name, title]]) => h("button", {
      type: "button", "aria-pressed": String(group === chosen), "data-group": group, title, onclick: () => showGroup(group),
    }, name, h("b", {}, counts[group]))),
    market && marketNote(market),
  ]);
}

function marketNote(market) {
  const since = market.since ? ` since ${shortDay(market.since)}` : "";
  return h("a", { href: "#/market", class: "muted", id: "market-note" }, `Market: ${words(market.term)}${since}`);
}

function showGroup(group) {
  Object.assign(shown, { group, all: false });
  shown.states.clear();
  changed();
}

function drawStates() {
  const counts = new Map();
  for (const { state } of board.items.filter(inGroup)) counts.set(state, (counts.get(state) ?? 0) + 1);
  const listed = STATES.filter((state) => counts.has(state))
    .map((state) => ({ state, count: counts.get(state), isChosen: shown.states.has(state) }));
  update(byId("states"), listed, () => listed.map(({ state, count, isChosen }) => h("button", {
    type: "button", "aria-pressed": String(isChosen), "data-state": state, onclick: () => toggle(state),
  }, words(state), h("b", {}, count))));
}

function toggle(state) {
  if (!shown.states.delete(state)) shown.states.add(state);
  changed();
}

// Hidden where no list gives sectors; the chosen one stays even when no setup belongs to it.
function drawSectors() {
  const counts = new Map(shown.sector ? [[shown.sector, 0]] : []);
  for (const { sector } of board.items) if (sector) counts.set(sector, (counts.get(sector) ?? 0) + 1);
  const field = byId("filter-sector");
  field.hidden = counts.size === 0;
  update(field, [...counts].sort(), (listed) => [
    h("option", { value: "" }, "Any sector"), ...listed.map(([sector, count]) => h("option", { value: sector }, `${sector} · ${count}`)),
  ]);
  if (field.value !== shown.sector) field.value = shown.sector;
}

export function clear() {
  clearFilters();
  changed();
}
