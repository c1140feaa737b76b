// The jobs: when they run, the last run with its reason, live progress, the runs before.
import { get, post } from "./api.js";
import { byId, h, notice, update } from "./dom.js";
import { duration, instant, shortDay, whole, words } from "./format.js";
import { runsTable, tally } from "./job_runs.js";
import { inWords } from "./schedule_words.js";

const RUNS_SHOWN = 8;
const PARTS = ["head", "next", "last", "actions", "log"]; // of a row, in their order
let latest = null;
const errors = new Map(); // by job what the daemon said to the last request
const logs = new Map(); // the runs of each job that a user has opened
const rows = new Map();

export function show(pulse) {
  latest = pulse ?? latest;
  const view = byId("view-jobs");
  update(view, latest ? latest.jobs.map((job) => job.name) : null, (names) => (names ? list(names)
    : notice("Waiting for the daemon", "The jobs appear as soon as it answers.")));
  if (!latest || view.querySelector("button:active")) return; // redrawing now would lose the click; the next event is near
  for (const job of latest.jobs) renew(job, rows.get(job.name));
}

// Of each job a row whose parts are drawn again one by one.
function list(names) {
  for (const name of names) {
    rows.set(name, Object.fromEntries(PARTS.map((part) => [part, h("div", { class: part })])));
  }
  const row = (name) => h("div", { class: "job", "data-job": name }, ...Object.values(rows.get(name)));
  return h("div", { class: "page" }, h("article", { class: "card" }, names.map(row)));
}

function renew(job, row) {
  const { name, schedule, enabled, paused, running, waiting, last } = job;
  const error = errors.get(name) ?? null;
  const isOpen = logs.has(name);
  update(row.head, [name, schedule], () => [h("h2", {}, words(name)), h("small", { title: schedule }, inWords(schedule))]);
  update(row.next, [enabled, paused, job.next_at, job.next_session], () => next(job));
  update(row.last, [error, running, waiting, last, job.retry_at, job.last_duration_s], () => doing(job, error));
  update(row.actions, [paused, Boolean(running || waiting.length), isOpen], () => actions(job, isOpen));
  update(row.log, logs.get(name) ?? null, (runs) => runs && runsTable(name, runs));
  row.log.hidden = !isOpen;
}

function next(job) {
  if (job.enabled === false) return h("small", {}, "disabled: runs only when you start it");
  if (job.paused) return [h("span", { class: "chip missed" }, "paused"), h("br"), h("small", {}, "runs only when you start it")];
  return [h("span", {}, instant(job.next_at)), h("br"), h("small", {}, `next, for ${shortDay(job.next_session)}`)];
}

function doing(job, error) {
  if (error) return h("span", { class: "amber" }, error);
  if (job.running) return running(job.running);
  if (job.waiting.length) return [h("span", { class: "chip missed" }, "waiting"), h("br"), h("small", {}, job.waiting[0].waits_for)];
  return job.last ? ended(job) : h("small", {}, "has not run yet");
}

function running(run) {
  const amount = run.total ? `${whole(run.done)} of ${whole(run.total)}` : "";
  const share = run.total ? { value: run.done, max: run.total } : {};
  return [h("span", { class: "chip running" }, run.ending ? "ending" : "running"), ` ${run.note} ${amount}${pace(run)}`,
    h("progress", { ...share, "aria-label": "Progress" })];
}

// How fast a run gets on and how long it still takes, from its beginning until now.
function pace(run) {
  const seconds = run.since ? (Date.now() - Date.parse(run.since)) / 1000 : 0;
  if (!run.total || !run.done || seconds < 1) return "";
  const rate = run.done / seconds;
  const left = (run.total - run.done) / rate;
  return ` · ${rate >= 1 ? `${whole(rate)} a second` : `${whole(rate * 60)} a minute`}, about ${duration(left)} left`;
}

function ended({ last, last_duration_s: seconds, retry_at: again }) {
  const about = [again ? `again ${instant(again)}` : "", last.reason, tally(last.counts)].filter(Boolean).join(" · ");
  const outcome = h("span", { class: `chip ${last.outcome}` }, last.outcome ?? "open");
  return [outcome, ` ${instant(last.finished_at)} ${duration(seconds)}`, h("br"), h("small", {}, about)];
}

function actions(job, isOpen) {
  const act = (text, verb, more = {}) => h("button", {
    type: "button", "data-action": `${job.name}-${verb}`, "aria-label": `${text} ${job.name}`,
    onclick: () => start(job.name, verb), ...more,
  }, text);
  const isBusy = Boolean(job.running) || job.waiting.length > 0;
  const log = { "aria-expanded": String(isOpen), "aria-label": `Log of ${job.name}`, onclick: () => toggleLog(job.name) };
  return [
    act("Run", "run", { class: "primary", disabled: isBusy }),
    job.paused ? act("Resume", "resume") : act("Pause", "pause"),
    act("Log", "log", log),
  ];
}

async function toggleLog(name) {
  if (!logs.delete(name)) {
    try {
      logs.set(name, (await get(`api/runs?job=${encodeURIComponent(name)}&limit=${RUNS_SHOWN}`)).items);
    } catch (error) {
      errors.set(name, error.message);
    }
  }
  show(null);
}

async function start(name, verb) {
  errors.delete(name);
  try {
    await post(`api/jobs/${encodeURIComponent(name)}/${verb}`);
  } catch (error) {
    errors.set(name, error.message);
  }
  show(null);
}
