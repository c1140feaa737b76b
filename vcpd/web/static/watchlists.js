// The view of watch lists: the report is drawn again when its data changed; forms and messages are built once and stay.
import { get } from "./api.js";
import { byId, errorNotice, h, notice, skeleton, update } from "./dom.js";
import { deleteForm, fileForm, levelForm, listForm, renameForm, snoozeForm } from "./watchlist_forms.js";
import { listLinks, watchedTable } from "./watchlist_table.js";

let parts = null;
let chosen = "";
let shownVersion;
let lastRequest = 0;

// `list` is the name in the address; without one every watched symbol is shown.
export async function show(version, list = "") {
  parts ??= build();
  if (shownVersion === version && chosen === list) return;
  shownVersion = version;
  chosen = list;
  await renew();
}

function build() {
  const report = h("div", { id: "watchlist-report" }, skeleton(6));
  const message = h("div", { id: "watchlist-change", "aria-live": "polite" });
  const names = h("datalist", { id: "watchlist-names" });
  const change = { message, renew, chosen: () => chosen };
  const makers = [listForm, levelForm, snoozeForm, fileForm, renameForm, deleteForm];
  const forms = h("div", { class: "cards" }, makers.map((make) => make(change)));
  byId("view-watchlists").replaceChildren(report, h("div", { class: "page" }, message, names, forms));
  return { report, names, change };
}

// Of answers that overlap only the one to the last request is drawn.
async function renew() {
  const request = ++lastRequest;
  try {
    const [found, all] = await Promise.all([get(pathOf(chosen)), chosen ? get("api/watchlists") : null]);
    if (request !== lastRequest) return;
    const view = { ...found, lists: (all ?? found).lists, chosen };
    update(parts.report, view, draw);
    parts.names.replaceChildren(...view.lists.map((list) => h("option", { value: list.name })));
  } catch (error) {
    if (request === lastRequest) fail(error);
  }
}

function fail(error) {
  shownVersion = undefined;
  update(parts.report, { failed: error.message }, () => errorNotice(error, renew));
}

const pathOf = (list) => (list ? `api/watchlists?${new URLSearchParams({ name: list })}` : "api/watchlists");

function draw(view) {
  if (!view.count && !view.lists.length) {
    return notice("No symbol is watched yet", "Add symbols to a list, set a price level, or import a TradingView list.");
  }
  return h("div", { class: "page" }, listLinks(view), watchedTable(view, parts.change));
}
