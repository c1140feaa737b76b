// The latest runs of a job as a table.
import { h } from "./dom.js";
import { instant, shortDay, whole, words } from "./format.js";

const HEADS = ["began", "for session", "cause", "outcome", "reason and counts"];

export const tally = (counts) => Object.entries(counts).filter(([, count]) => count)
  .map(([name, count]) => `${whole(count)} ${words(name)}`).join(", ");

export function runsTable(job, runs) {
  if (!runs.length) return h("p", { class: "muted" }, "No run is recorded.");
  const head = h("tr", {}, HEADS.map((name) => h("th", { scope: "col" }, name)));
  return h("div", { class: "wide-table", tabindex: 0, role: "region", "aria-label": `Runs of ${job}` },
    h("table", { class: "small" }, h("thead", {}, head), h("tbody", {}, runs.map(row))));
}

const row = (run) => h("tr", {},
  h("td", {}, instant(run.started_at ?? run.scheduled_at)), h("td", {}, run.session ? shortDay(run.session) : "–"), h("td", {}, run.cause ?? "–"),
  h("td", {}, h("span", { class: `chip ${run.outcome}` }, run.outcome ?? "open")),
  h("td", {}, [run.reason, tally(run.counts ?? {})].filter(Boolean).join(" · ") || "–"));
