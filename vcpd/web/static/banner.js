// What needs the user comes first, with the button that does it; then what is under way or old.
import { post } from "./api.js";
import { byId, h } from "./dom.js";

const OFFLINE = "No connection to the daemon. The page shows the last state it received and reconnects by itself.";
let failure = "";
let drawn = "";

export function show(pulse, online) {
  const found = online ? needs(pulse) : [OFFLINE];
  const text = found.map((part) => part.textContent ?? part).join("") + failure;
  const banner = byId("banner");
  banner.hidden = found.length === 0;
  banner.classList.toggle("error", !online);
  if (text === drawn) return; // drawing it again would take a button away from under the pointer
  drawn = text;
  banner.replaceChildren(...found, failure);
}

function needs(pulse) {
  if (!pulse) return [];
  if (pulse.login_due) {
    return ["The market's login is due, so no bars come in. ", h("a", { href: "login", class: "button" }, "Log in to the market")];
  }
  if (pulse.data.as_of === null) return noBars(pulse);
  if (pulse.data.age_sessions >= 1) return oldBars(pulse);
  return pulse.health.level === "poor" ? ["The daemon's health is poor. ", h("a", { href: "#/health" }, "See why")] : [];
}

function noBars(pulse) {
  const collecting = pulse.jobs.find((job) => job.running && !job.running.ending);
  if (collecting) {
    const { done, total } = collecting.running;
    return [`There are no bars yet. ${collecting.name} is running: ${done} of ${total}.`];
  }
  const failed = pulse.jobs.find((job) => job.last?.outcome === "failed");
  if (failed) {
    const reason = failed.last.reason || "its log says why";
    return [`There are no bars yet: ${failed.name} failed, ${reason}. `, runButton(failed.name)];
  }
  const waiting = pulse.jobs.find((job) => job.waiting.length);
  const next = waiting ? `${waiting.name} waits: ${waiting.waiting[0].waits_for}.` : "The first collection is about to start.";
  return [`There are no bars yet. ${next}`];
}

function oldBars(pulse) {
  const age = pulse.data.age_sessions;
  const text = `The bars are ${age} trading session${age > 1 ? "s" : ""} old. `;
  const collect = pulse.jobs.find((job) => job.name === "collect");
  const idle = collect && !collect.running && !collect.waiting.length;
  return [text, idle ? runButton("collect") : "", " ", h("a", { href: "#/jobs" }, "See the jobs")];
}

const runButton = (name) => h("button", { type: "button", class: "primary", onclick: () => run(name) }, `Run ${name} now`);

async function run(name) {
  failure = "";
  try {
    await post(`api/jobs/${encodeURIComponent(name)}/run`);
    location.hash = "#/jobs";
  } catch (error) {
    failure = ` ${error.message}`;
    byId("banner").append(failure);
  }
}
