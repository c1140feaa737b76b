// The jobs: last run, progress, next run.
import { post } from "./api.js";
import { byId, h, notice } from "./dom.js";
import { duration, instant, shortDay, whole } from "./format.js";

let errorOf = {};
let latest = null;

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
    h("div", {}, h("h3", {}, job.name.replaceAll("_", " ")), h("small", {}, job.schedule)),
    h("div", { class: "next" }, job.enabled === false ? h("small", {}, "disabled: runs only when you start it") : job.paused ? h("span", { class: "chip missed" }, "paused") : h("span", {}, instant(job.next_at)), job.enabled === false ? null : [h("br"), h("small", {}, job.paused ? "runs only when you start it" : `next, for ${shortDay(job.next_session)}`)]),
    h("div", { class: "last" }, doing(job)), actions(job));
}

function doing(job) {
  if (errorOf[job.name]) return h("span", { class: "amber" }, errorOf[job.name]);
  if (job.running) return running(job.running);
  if (job.waiting.length) return [h("span", { class: "chip missed" }, "waiting"), h("br"), h("small", {}, job.waiting[0].waits_for)];
  if (!job.last) return h("small", {}, "has not run yet");
  return ended(job);
}

function running(run) {
  const bar = run.total ? h("progress", { value: run.done, max: run.total }) : h("progress", {});
  return [h("span", { class: "chip running" }, run.ending ? "ending" : "running"), ` ${run.note} ${run.total ? `${whole(run.done)} of ${whole(run.total)}` : ""}`, bar];
}

function ended(job) {
  const counts = Object.entries(job.last.counts).filter(([, count]) => count).map(([name, count]) => `${whole(count)} ${name.replaceAll("_", " ")}`);
  return [h("span", { class: `chip ${job.last.outcome}` }, job.last.outcome ?? "open"), ` ${instant(job.last.finished_at)} ${duration(job.last_duration_s)}`, h("br"),
    h("small", {}, [job.retry_at ? `again ${instant(job.retry_at)}` : "", job.last.reason, counts.join(", ")].filter(Boolean).join(" · "))];
}

function actions(job) {
  const act = (name, verb, primary) => h("button", {
    type: "button", class: primary, "data-action": `${job.name}-${verb}`, "aria-label": `${name} ${job.name}`, disabled: verb === "run" && (job.running || job.waiting.length > 0), onclick: () => start(job.name, verb),
  }, name);
  return h("div", { class: "actions" }, act("Run", "run", "primary"), job.paused ? act("Resume", "resume") : act("Pause", "pause"));
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
