// Health: the score, each penalty with its remedy, and the button that repairs what can be repaired from here.
import { get, post } from "./api.js";
import { byId, h, notice } from "./dom.js";
import { remedy } from "./remedies.js";
import { duration, number, percent, whole, words } from "./format.js";

let latest = null;
let status = null;
let outcome = null;

export async function show(pulse, fresh) {
  latest = pulse ?? latest;
  if (fresh || status === null) status = await get("status").catch(() => status);
  const view = byId("view-health");
  if (!latest) {
    view.replaceChildren(notice("Waiting for the daemon", "Its health appears as soon as it answers."));
    return;
  }
  if (view.querySelector("button:active")) return; // redrawing now would lose the click; the next event is near
  view.replaceChildren(h("div", { class: "page" }, h("div", { class: "cards" }, score(latest.health), figures())));
}

function score(health) {
  const items = health.items.map((item) => h("div", { class: "penalty" }, h("span", { class: "points" }, `−${item.points}`),
    h("div", {}, h("p", {}, h("b", {}, words(item.item)), `: ${item.seen}`), h("p", { class: "muted" }, remedy(item.recommendation, (said) => { outcome = said; show(null, true); })))));
  return h("article", { class: "card" }, h("div", { class: "dial" }, h("b", {}, health.score), h("span", { class: `chip ${health.level}` }, health.level),
    h("button", { type: "button", id: "optimize", onclick: optimize }, "Optimize now")),
    outcome ? h("p", { class: "muted", role: "status" }, outcome) : null,
    items.length ? h("p", {}, `100 ${health.items.map((item) => `− ${item.points} ${words(item.item)}`).join(" ")} = ${health.score}`) : null,
    items.length ? items : h("p", { class: "muted" }, "100 points: nothing takes any away."));
}

async function optimize(event) {
  event.target.disabled = true;
  try {
    const { done, before, after } = await post("api/performance/optimize");
    outcome = `Score ${before.score} → ${after.score}, daemon ${number(before.daemon_mb, 0)} → ${number(after.daemon_mb, 0)} MB; runs ended: ${done.runs_ended.length}, workers replaced: ${done.workers_replaced}, panel ${done.panel}, tables analyzed: ${done.analyzed.length}.`;
  } catch (error) {
    outcome = error.message;
  }
  show(null, true);
}

function figures() {
  if (!status) return null;
  const system = status.system;
  const workers = status.workers;
  const rows = [
    ["State", status.state], ["Up", duration(status.uptime_s)], ["Market", status.simulated ? `${status.market}, simulated` : status.market],
    ["Login", `${words(status.login.state)}${status.login.user_id ? ` (${status.login.user_id})` : ""}`],
    ["Data", status.data.as_of ? `${whole(status.data.symbols)} symbols to ${status.data.as_of}` : "none yet"],
    ["Excluded for quality", whole(status.data.excluded)], ["Loop lag, 99 %", `${number(status.loop_lag.p99_ms)} ms`],
    ["Workers", `${workers.workers.length} of ${workers.count}, ${whole(workers.tasks)} tasks`],
    ...(system ? [["Daemon", `${number(system.daemon.proportional_mb ?? system.daemon.resident_mb, 0)} MB, ${system.daemon.threads} threads`], ["Machine", `CPU ${percent(system.machine_cpu_pct, 0)}, memory ${percent(system.machine_memory_pct, 0)}`]] : []),
  ];
  return h("article", { class: "card" }, h("header", {}, h("h2", {}, "The daemon")), h("table", { class: "small" }, h("tbody", {}, rows.map(([name, value]) => h("tr", {}, h("td", { class: "muted" }, name), h("td", {}, value))))));
}
