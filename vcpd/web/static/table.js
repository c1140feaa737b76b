// The list of setups: sorted by its column heads, filtered while typing, drawn as far as it is in sight.
import { get } from "./api.js";
import { address } from "./address.js";
import { columnOf, fitting, wanted } from "./columns.js";
import { byId, errorNotice, h, keepFocus, notice } from "./dom.js";
import * as filters from "./filters.js";
import { price, signed } from "./format.js";
import * as marks from "./marks.js";
import * as selection from "./selection.js";
import { meaning } from "./glossary.js";
import { GROUPS, inGroup, keep, keeps, order, restore as restoreState, shown } from "./list_state.js";
import { drawRows } from "./rows.js";

let board = null;
let boardText = "";
let loadedAll = false;
let selected = null;
let drawn = [];
let rows = null;
let columns = [];
let frameWidth = 0;
let lastRequest = 0;

const live = new Map();
export const current = () => board;

export async function load() {
  const frame = byId("table-frame");
  if (board === null) frame.replaceChildren(skeletonTable());
  loadedAll = shown.all;
  const request = ++lastRequest;
  let found;
  try {
    found = await get(loadedAll ? "api/board?all=1" : "api/board");
  } catch (error) {
    if (board === null) frame.replaceChildren(errorNotice(error, () => load().catch(() => {})));
    throw error;
  }
  if (request === lastRequest) take(found);
  return board ?? found;
}

// The list is drawn again only where something in it changed: a click that has begun reaches its row.
function take(found) {
  const text = JSON.stringify(found);
  if (text === boardText) return;
  boardText = text;
  board = found;
  draw();
}

export function select(symbol) {
  selected = symbol;
  for (const row of document.querySelectorAll(".board tbody tr")) {
    row.setAttribute("aria-selected", String(row.dataset.symbol === symbol));
  }
}

export function step(by) {
  if (!drawn.length) return null;
  const at = drawn.findIndex((row) => row.symbol === selected);
  return drawn[Math.max(0, Math.min(drawn.length - 1, at + by))].symbol;
}

export function reveal(symbol) {
  const at = drawn.findIndex((row) => row.symbol === symbol);
  if (at >= 0) rows?.reveal(at);
}

export function listen() {
  filters.listen(changed);
  selection.listen(() => drawn, changed);
  marks.onChange(draw);
  new ResizeObserver(() => {
    const width = byId("table-frame").clientWidth;
    if (width === frameWidth || width === 0) return;
    frameWidth = width;
    draw();
  }).observe(byId("table-frame"));
}

// Shows what the address says.
export function restore(query) {
  if (restoreState(query) && board !== null) changed();
}

function changed() {
  keep();
  draw();
  if (shown.all !== loadedAll) load().catch(() => {});
}

function draw() {
  if (board === null) return;
  filters.draw(board);
  drawn = board.items.filter((row) => keeps(row, marks.isStarred)).sort(order);
  selection.draw();
  rows?.stop();
  rows = null;
  const frame = byId("table-frame");
  keepFocus(frame, () => drawFrame(frame));
}

function drawFrame(frame) {
  const top = frame.scrollTop;
  if (drawn.length === 0) frame.replaceChildren(emptiness());
  else drawTable(frame);
  frame.scrollTop = top;
  rows?.follow();
}

// Drawn with every wanted column first, then with those that fit; columns that a user chose all stay.
function drawTable(frame) {
  columns = wanted(shown.columns);
  fill(frame);
  if (shown.columns || frame.scrollWidth <= frame.clientWidth) return;
  const widths = [...frame.querySelectorAll("thead th")].map((head) => head.getBoundingClientRect().width);
  columns = fitting(columns, widths, frame.clientWidth);
  rows?.stop();
  fill(frame);
}

function fill(frame) {
  const body = h("tbody", {});
  const name = h("caption", { class: "skip" }, caption());
  frame.replaceChildren(h("table", { class: "board", "aria-rowcount": drawn.length + 1 }, name, heads(), body));
  rows = drawRows(frame, body, drawn, rowOf);
}

function caption() {
  const all = board.items.filter(inGroup).length;
  return `${drawn.length} of ${all} ${shown.all ? "symbols" : groupName(shown.group)} after ${board.as_of}`;
}

const heads = () => h("thead", {}, h("tr", {}, columns.map(head)));

function head(column) {
  const order = shown.descending ? "descending" : "ascending";
  return h("th", { scope: "col", class: column.kind, "aria-sort": column.key === shown.sort ? order : null },
    column.unsorted ? h("span", {}, column.head) : sortButton(column));
}

function sortButton(column) {
  const title = column.key === "score" ? board.score_note : meaning(column.term);
  return h("button", { type: "button", "data-key": column.key, title, onclick: () => sortBy(column) }, column.head);
}

// A column of numbers begins with the largest, the distance to the pivot with the nearest, one of texts with the first.
function sortBy(column) {
  const isNumber = !column.kind?.includes("text") && column.key !== "to_pivot_pct";
  shown.descending = shown.sort === column.key ? !shown.descending : isNumber;
  shown.sort = column.key;
  changed();
}

// Prices of the running session in place of the last close, without moving a row.
export function quote(items) {
  const over = live.size > 0 && items.length === 0;
  live.clear();
  for (const item of items) if (item.price !== null) live.set(item.symbol, item);
  if (over) draw();
  else for (const row of document.querySelectorAll(".board tbody tr[data-symbol]")) enliven(row);
}

function enliven(row) {
  const item = live.get(row.dataset.symbol);
  if (!item) return row;
  for (const [key, text] of [["close", price(item.price)], ["to_pivot_pct", signed(item.to_pivot_pct)]]) {
    const cell = row.querySelector(`td[data-key="${key}"]`);
    if (cell === null) continue;
    if (cell.textContent !== text) cell.textContent = text;
    cell.classList.add("now");
    cell.title = "live, provisional until the close";
  }
  return row;
}

function rowOf(row, at) {
  const attributes = {
    "data-symbol": row.symbol, "aria-rowindex": at + 2, "aria-selected": String(row.symbol === selected),
    class: marks.isSeen(row.symbol, board.as_of) ? "seen" : null,
    onclick: (event) => { if (!event.target.closest("a, button, input")) location.hash = address(row.symbol); },
  };
  const cell = (column) => h("td", { class: column.kind, "data-key": column.key }, column.cell(row));
  return enliven(h("tr", attributes, columns.map(cell)));
}

const groupName = (group) => GROUPS.get(group)[0].toLowerCase();

function emptiness() {
  if (board.as_of === null) {
    return notice("No screen has run yet", "The first collection and screen are under way; this page updates by itself.");
  }
  const hidden = board.items.filter(inGroup).length;
  if (hidden) {
    const clear = h("button", { type: "button", onclick: filters.clear }, "Clear the filters");
    return notice("No row passes these filters", `${hidden} are hidden by them.`, clear);
  }
  const found = [`${board.judged} symbols were screened`, otherGroups()].filter(Boolean).join("; ");
  return notice(`None in ${groupName(shown.group)}`, `${found}.`);
}

function otherGroups() {
  const others = [...GROUPS.keys()].filter((group) => group !== shown.group && board.groups[group]);
  return others.map((group) => `${board.groups[group]} ${groupName(group)}`).join(", ");
}

function skeletonTable() {
  const cell = (key) => h("td", { class: columnOf(key).kind }, h("span", { class: "skeleton" }));
  const row = () => h("tr", {}, ["symbol", "state", "close", "to_pivot_pct"].map(cell));
  return h("table", { class: "board", "aria-busy": "true" }, h("tbody", {}, Array.from({ length: 14 }, row)));
}
