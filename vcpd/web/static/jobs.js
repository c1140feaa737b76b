// The jobs: when they run, the last run with its reason, live progress, the runs before.
import { get, post } from "./api.js";
import { byId, h, notice } from "./dom.js";
import { duration, instant, shortDay, whole, words } from "./format.js";
import { inWords } from "./schedule_words.js";

const RUNS_SHOWN = 8;
let errorOf = {};
let latest = null;
const logs = new Map(); // the runs of each job that a user has opened

export function show(pulse) {
  latest = pulse ?? latest;
  const view = byId("view-jobs");
  if (!latest) {
    view.replaceChildren(notice("Waiting for the daemon", "The jobs appear as soon as it answers."));
    return;
  }
  if (view.querySelector("button:active")) return; // redrawing now would lose the click; the next event is near
  const focused = document.activeElement?.dataset?.action;
  view.replaceChildren(h("div", { class: "page" }, h("article", { class: "card" }, latest.jobs.map(jobRow))));
  if (focused) view.querySelector(`[data-action="${focused}"]`)?.focus();
}

function jobRow(job) {
  return h("div", { class: "job", "data-job": job.name },
    h("div", {}, h("h2", {}, words(job.name)), h("small", { title: job.schedule }, inWords(job.schedule))),
    h("div", { class: "next" }, next(job)), h("div", { class: "last" }, doing(job)), actions(job), runs(job.name));
}

function next(job) {
  if (job.enabled === false) return h("small", {}, "disabled: runs only when you start it");
  if (job.paused) return [h("span", { class: "chip missed" }, "paused"), h("br"), h("small", {}, "runs only when you start it")];
  return [h("span", {}, instant(job.next_at)), h("br"), h("small", {}, `next, for ${shortDay(job.next_session)}`)];
}

function doing(job) {
  if (errorOf[job.name]) return h("span", { class: "amber" }, errorOf[job.name]);
  if (job.running) return running(job.running);
  if (job.waiting.length) return [h("span", { class: "chip missed" }, "waiting"), h("br"), h("small", {}, job.waiting[0].waits_for)];
  if (!job.last) return h("small", {}, "has not run yet");
  return ended(job);
}

function running(run) {
  const bar = run.total ? h("progress", { value: run.done, max: run.total, "aria-label": "Progress" }) : h("progress", { "aria-label": "Progress" });
  return [h("span", { class: "chip running" }, run.ending ? "ending" : "running"), ` ${run.note} ${run.total ? `${whole(run.done)} of ${whole(run.total)}` : ""}${pace(run)}`, bar];
}

// How fast a run gets on and how long it still takes, from its beginning until now.
function pace(run) {
  const seconds = run.since ? (Date.now() - Date.parse(run.since)) / 1000 : 0;
  if (!run.total || !run.done || seconds < 1) return "";
  const rate = run.done / seconds;
  const left = (run.total - run.done) / rate;
  return ` · ${rate >= 1 ? `${whole(rate)} a second` : `${whole(rate * 60)} a minute`}, about ${duration(left)} left`;
}

const tally = (counts) => Object.entries(counts).filter(([, count]) => count).map(([name, count]) => `${whole(count)} ${words(name)}`).join(", ");

function ended(job) {
  return [h("span", { class: `chip ${job.last.outcome}` }, job.last.outcome ?? "open"), ` ${instant(job.last.finished_at)} ${duration(job.last_duration_s)}`, h("br"),
    h("small", {}, [job.retry_at ? `again ${instant(job.retry_at)}` : "", job.last.reason, tally(job.last.counts)].filter(Boolean).join(" · "))];
}

function actions(job) {
  const act = (name, verb, primary) => h("button", {
    type: "button", class: primary, "data-action": `${job.name}-${verb}`, "aria-label": `${name} ${job.name}`, disabled: verb === "run" && (job.running || job.waiting.length > 0), onclick: () => start(job.name, verb),
  }, name);
  const log = h("button", { type: "button", "data-action": `${job.name}-log`, "aria-expanded": String(logs.has(job.name)), "aria-label": `Log of ${job.name}`, onclick: () => toggleLog(job.name) }, "Log");
  return h("div", { class: "actions" }, act("Run", "run", "primary"), job.paused ? act("Resume", "resume") : act("Pause", "pause"), log);
}

async function toggleLog(name) {
  if (logs.delete(name)) {
    show(null);
    return;
  }
  try {
    logs.set(name, (await get(`api/runs?job=${encodeURIComponent(name)}&limit=${RUNS_SHOWN}`)).items);
  } catch (error) {
    errorOf = { ...errorOf, [name]: error.message };
  }
  show(null);
}

function runs(name) {
  const found = logs.get(name);
  if (!found) return null;
  if (!found.length) return h("p", { class: "muted log" }, "No run is recorded.");
  const row = (run) => h("tr", {}, h("td", {}, instant(run.started_at ?? run.scheduled_at)), h("td", {}, run.session ? shortDay(run.session) : "–"), h("td", {}, run.cause ?? "–"),
    h("td", {}, h("span", { class: `chip ${run.outcome}` }, run.outcome ?? "open")), h("td", {}, [run.reason, tally(run.counts ?? {})].filter(Boolean).join(" · ") || "–"));
  return h("div", { class: "log wide-table", tabindex: 0, role: "region", "aria-label": `Runs of ${name}` }, h("table", { class: "small" }, h("thead", {}, h("tr", {}, ["began", "for session", "cause", "outcome", "reason and counts"].map((head) => h("th", { scope: "col" }, head)))), h("tbody", {}, found.map(row))));
}

async function start(name, verb) {
  delete errorOf[name];
  try {
    await post(`api/jobs/${encodeURIComponent(name)}/${verb}`);
  } catch (error) {
    errorOf = { ...errorOf, [name]: error.message };
    show(null);
  }
}
