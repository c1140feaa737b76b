// Connects the views: the address says which one is shown, the event stream brings what is new.
import { get } from "./api.js";
import * as detail from "./detail.js";
import { byId, h } from "./dom.js";
import { day, fullSymbol } from "./format.js";
import * as health from "./health.js";
import * as jobs from "./jobs.js";
import { follow } from "./live.js";
import { listenForLogin, mayRead } from "./login.js";
import * as market from "./market.js";
import * as scans from "./scans.js";
import * as table from "./table.js";
import * as watch from "./watch.js";

const VIEWS = ["setups", "market", "scans", "jobs", "health"];
const WIDE = matchMedia("(min-width: 901px)");
let pulse = null;
let online = true;
let view = null;

function route() {
  const [name, symbol] = location.hash.replace(/^#\//, "").split("/").map(decodeURIComponent);
  const entered = VIEWS.includes(name) ? name : "setups";
  for (const one of VIEWS) byId(`view-${one}`).hidden = one !== entered;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#/${entered}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const fresh = entered !== view;
  view = entered;
  if (view === "setups") showSymbol(symbol);
  refresh(fresh);
}

function showSymbol(asked) {
  const first = asked === undefined && WIDE.matches ? table.step(0) : null;
  const symbol = asked || first;
  byId("view-setups").classList.toggle("open", Boolean(symbol));
  table.select(symbol);
  if (!symbol) detail.close();
  else if (detail.symbol() !== symbol) detail.open(symbol).then(() => { if (asked && !WIDE.matches) byId("detail-title")?.focus(); });
}

function refresh(fresh) {
  if (view === "market") market.show(pulse?.version ?? null, pulse?.data.as_of ?? undefined);
  if (view === "scans") scans.show();
  if (view === "jobs") jobs.show(pulse);
  if (view === "health") health.show(pulse, fresh);
}

function onPulse(state) {
  const changed = pulse !== null && state.version !== pulse.version;
  pulse = state;
  byId("score").textContent = state.health.score;
  byId("score").className = `score ${{ good: "up", degraded: "amber", poor: "down" }[state.health.level]}`;
  watch.show(state.watch ?? null);
  showWarnings();
  refresh(false);
  if (changed) renew();
}

async function renew() {
  await loadTable().catch(() => {});
  const symbol = detail.symbol();
  if (symbol && WIDE.matches && !document.activeElement?.closest("#size")) detail.open(symbol);
}

async function loadTable() {
  const board = await table.load();
  byId("session").replaceChildren("after ", h("b", {}, day(board.as_of)));
  byId("session").hidden = board.as_of === null;
  byId("symbols").replaceChildren(...table.symbols().map((symbol) => h("option", { value: symbol.slice(symbol.indexOf(":") + 1) })));
}

function showWarnings() {
  const said = warnings();
  const banner = byId("banner");
  banner.hidden = said.length === 0;
  banner.classList.toggle("error", !online);
  banner.replaceChildren(...said);
}

function warnings() {
  if (!online) return ["No connection to the daemon. The page shows the last state it received and reconnects by itself."];
  const age = pulse?.data.age_sessions;
  const collecting = pulse?.jobs.find((job) => job.running && !job.running.ending);
  if (pulse && pulse.data.as_of === null) return ["There are no bars yet. ", collecting ? `${collecting.name} is running: ${collecting.running.done} of ${collecting.running.total}.` : waiting()];
  if (pulse?.login_due) return ["The market's login is due, so no new bars come in. ", h("a", { href: "login" }, "Log in")];
  if (age >= 1) return [`The bars are ${age} trading session${age > 1 ? "s" : ""} old. `, h("a", { href: "#/jobs" }, "See the jobs")];
  return pulse?.health.level === "poor" ? ["The daemon's health is poor. ", h("a", { href: "#/health" }, "See why")] : [];
}

function waiting() {
  const first = pulse.jobs.find((job) => job.waiting.length);
  return first ? `${first.name} waits: ${first.waiting[0].waits_for}.` : "The first collection is about to start.";
}

function setOnline(is) {
  online = is;
  const live = byId("live");
  const text = is ? "live" : "offline";
  if (live.textContent !== text) live.textContent = text;
  live.className = `live ${is ? "on" : "off"}`;
  showWarnings();
}

function onKey(event) {
  const typing = event.target.closest("input, select, textarea");
  if (event.key === "Escape" && detail.symbol()) location.hash = "#/setups/";
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    event.preventDefault();
    byId("ask-symbol").focus();
  }
  const by = { j: 1, k: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (by && view === "setups" && !event.target.closest(".detail")) {
    const symbol = table.step(by);
    if (symbol) {
      event.preventDefault();
      location.hash = table.address(symbol);
      document.querySelector('.board tr[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
    }
  }
}

function ask(event) {
  event.preventDefault();
  const name = byId("ask-symbol").value.trim().toUpperCase();
  if (name) location.hash = table.address(fullSymbol(name));
  byId("ask-symbol").blur();
}

async function showVersion() {
  const status = await get("status");
  byId("version").textContent = `vcpd ${status.version}`;
  byId("market").hidden = !status.simulated;
  byId("market").textContent = "simulated market";
  byId("market").title = "These companies and prices are made up by the built-in exchange.";
}

async function start() {
  table.listen();
  byId("ask").addEventListener("submit", ask);
  addEventListener("keydown", onKey);
  addEventListener("hashchange", route);
  listenForLogin();
  await mayRead();
  showVersion().catch(() => setOnline(false));
  follow({ pulse: onPulse, disconnected: () => setOnline(false), connected: () => setOnline(true) });
  await loadTable().catch(() => {});
  route();
  document.documentElement.dataset.ready = "yes";
  performance.mark("usable");
}

start();
