// Health: the score, each penalty with its remedy, and the button that repairs what can be repaired from here.
import { get, post } from "./api.js";
import { byId, h, notice, update } from "./dom.js";
import { remedy } from "./remedies.js";
import { duration, number, percent, whole, words } from "./format.js";

let latest = null;
let status = null;
let outcome = null;
let places = null;

export async function show(pulse, fresh) {
  latest = pulse ?? latest;
  if (fresh || status === null) status = await get("status").catch(() => status);
  places ??= build();
  if (places.page.querySelector("button:active")) return; // redrawing now would lose the click; the next event is near
  update(places.score, { health: latest?.health ?? null, outcome }, score);
  update(places.figures, status, figures);
  places.figures.hidden = status === null;
}

function build() {
  const made = { score: h("article", { class: "card" }), figures: h("article", { class: "card" }) };
  made.page = h("div", { class: "page" }, h("div", { class: "cards" }, made.score, made.figures));
  byId("view-health").replaceChildren(made.page);
  return made;
}

function score({ health }) {
  if (!health) return notice("Waiting for the daemon", "Its health appears as soon as it answers.");
  const sum = `100 ${health.items.map((item) => `− ${item.points} ${words(item.item)}`).join(" ")} = ${health.score}`;
  return [
    h("div", { class: "dial" }, h("b", {}, health.score), h("span", { class: `chip ${health.level}` }, health.level),
      h("button", { type: "button", id: "optimize", onclick: optimize }, "Optimize now")),
    outcome ? h("p", { class: "muted", role: "status" }, outcome) : null,
    health.items.length ? [h("p", {}, sum), health.items.map(penalty)] : h("p", { class: "muted" }, "100 points: nothing takes any away."),
  ];
}

const penalty = (item) => h("div", { class: "penalty" }, h("span", { class: "points" }, `−${item.points}`),
  h("div", {}, h("p", {}, h("b", {}, words(item.item)), `: ${item.seen}`), h("p", { class: "muted" }, remedy(item.recommendation, report))));

function report(text) {
  outcome = text;
  show(null, true);
}

async function optimize(event) {
  const button = event.currentTarget;
  button.disabled = true;
  try {
    report(improvement(await post("api/performance/optimize")));
  } catch (error) {
    report(error.message);
  }
  button.disabled = false;
}

const improvement = ({ done, before, after }) => [
  `Score ${before.score} → ${after.score}, daemon ${number(before.daemon_mb, 0)} → ${number(after.daemon_mb, 0)} MB`,
  `; runs ended: ${done.runs_ended.length}, workers replaced: ${done.workers_replaced}`,
  `, panel ${done.panel}, tables analyzed: ${done.analyzed.length}.`,
].join("");

function figures() {
  if (!status) return null;
  const { system, workers, data, login } = status;
  const rows = [
    ["State", status.state], ["Up", duration(status.uptime_s)], ["Market", status.simulated ? `${status.market}, simulated` : status.market],
    ["Login", `${words(login.state)}${login.user_id ? ` (${login.user_id})` : ""}`],
    ["Data", data.as_of ? `${whole(data.symbols)} symbols to ${data.as_of}` : "none yet"],
    ["Excluded for quality", whole(data.excluded)], ["Loop lag, 99th percentile", `${number(status.loop_lag.p99_ms)} ms`],
    ["Workers", `${workers.workers.length} of ${workers.count}, ${whole(workers.tasks)} tasks`],
    ...(system ? systemRows(system) : []),
  ];
  const row = ([name, value]) => h("tr", {}, h("td", { class: "muted" }, name), h("td", {}, value));
  return [h("header", {}, h("h2", {}, "The daemon")), h("table", { class: "small" }, h("tbody", {}, rows.map(row)))];
}

const systemRows = ({ daemon, ...machine }) => [
  ["Daemon", `${number(daemon.proportional_mb ?? daemon.resident_mb, 0)} MB, ${daemon.threads} threads`],
  ["Machine", `CPU ${percent(machine.machine_cpu_pct, 0)}, memory ${percent(machine.machine_memory_pct, 0)}`],
];
