// Connects the views: the address says which one is shown, the event stream brings what is new.
import { VIEWS, address, entitle, read } from "./address.js";
import { get } from "./api.js";
import * as banner from "./banner.js";
import * as detail from "./detail.js";
import { byId, h } from "./dom.js";
import { day } from "./format.js";
import * as health from "./health.js";
import * as jobs from "./jobs.js";
import * as keys from "./keys.js";
import { follow } from "./live.js";
import { listenForLogin, mayRead } from "./login.js";
import * as marks from "./marks.js";
import * as market from "./market.js";
import * as positions from "./positions.js";
import * as scans from "./scans.js";
import * as search from "./search.js";
import * as table from "./table.js";
import * as watch from "./watch.js";
import * as watchlists from "./watchlists.js";

const WIDE = matchMedia("(min-width: 901px)");
let pulse = null;
let online = true;
let view = null;

function route() {
  const asked = read();
  for (const name of Object.keys(VIEWS)) byId(`view-${name}`).hidden = name !== asked.view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === asked.view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const fresh = asked.view !== view;
  view = asked.view;
  entitle(view, asked.symbol);
  if (view === "setups") {
    table.restore(asked.query);
    showSymbol(asked.symbol);
  }
  refresh(fresh);
}

function showSymbol(asked) {
  const first = asked === undefined && WIDE.matches ? table.step(0) : null;
  const symbol = asked || first;
  byId("view-setups").classList.toggle("open", Boolean(symbol));
  table.select(symbol);
  if (symbol) marks.see(symbol, table.current()?.as_of);
  if (!symbol) detail.close();
  else if (detail.symbol() !== symbol) openDetail(symbol, asked);
}

// Where the panel covers the list, the focus goes with the eye.
async function openDetail(symbol, asked) {
  await detail.open(symbol);
  if (asked && !WIDE.matches) byId("detail-title")?.focus();
}

function refresh(fresh) {
  if (view === "market") market.show(pulse?.version ?? null, pulse?.data.as_of ?? undefined);
  if (view === "scans") scans.show();
  if (view === "watchlists") watchlists.show(pulse?.version ?? null, read().symbol);
  if (view === "positions") positions.show(pulse?.version ?? null);
  if (view === "jobs") jobs.show(pulse);
  if (view === "health") health.show(pulse, fresh);
}

function onPulse(state) {
  const changed = pulse !== null && state.version !== pulse.version;
  pulse = state;
  byId("score").textContent = state.health.score;
  byId("score").className = `score ${{ good: "up", degraded: "amber", poor: "down" }[state.health.level]}`;
  watch.show(state.watch ?? null);
  detail.quote(state.watch?.items ?? []);
  banner.show(pulse, online);
  refresh(false);
  if (changed) renew();
}

async function renew() {
  await loadTable().catch(() => {});
  if (detail.symbol()) detail.renew();
}

async function loadTable() {
  const board = await table.load();
  byId("session").replaceChildren("after ", h("b", {}, day(board.as_of)));
  byId("session").hidden = board.as_of === null;
}

function setOnline(is) {
  online = is;
  const live = byId("live");
  const text = is ? "live" : "offline";
  if (live.textContent !== text) live.textContent = text;
  live.className = `live ${is ? "on" : "off"}`;
  banner.show(pulse, online);
}

function move(by) {
  const symbol = view === "setups" ? table.step(by) : null;
  if (!symbol) return;
  location.hash = address(symbol);
  table.reveal(symbol);
}

async function showVersion() {
  const status = await get("status");
  byId("version").textContent = `vcpd ${status.version}`;
  byId("market").hidden = !status.simulated;
  document.documentElement.dataset.simulated = status.simulated && !status.replay ? "yes" : "no";
  byId("market").textContent = status.replay ? "replay of real bars" : "simulated market";
  byId("market").title = status.replay ? "Real bars of the past, served by the built-in exchange."
    : "These companies and prices are made up by the built-in exchange.";
}

async function start() {
  table.listen();
  keys.listen(move);
  search.listen();
  addEventListener("hashchange", route);
  listenForLogin();
  await mayRead();
  showVersion().catch(() => setOnline(false));
  follow({ pulse: onPulse, disconnected: () => setOnline(false), connected: () => setOnline(true) });
  table.restore(read().query);
  marks.load();
  await loadTable().catch(() => {});
  route();
  navigator.serviceWorker?.register("static/sw.js", { scope: "./" }).catch(() => {}); // without it the page needs the daemon to open
  document.documentElement.dataset.ready = "yes";
  performance.mark("usable");
}

start();
