// The remedies of health in buttons: each request that a recommendation names is sent by one click.
import { post } from "./api.js";
import { h } from "./dom.js";

const REQUEST = /(?:POST|GET) \/api\/(jobs\/([\w-]+)\/(run|resume|pause)|performance\/optimize|runs\?job=([\w-]+)|quality|jobs)|open \/login in a browser here/;
const NAMES = { run: "Run", resume: "Resume", pause: "Pause" };

// A recommendation in parts: text, `commands` as code, requests as buttons and links.
export function remedy(text, done) {
  const parts = [];
  let rest = text;
  for (let found = REQUEST.exec(rest); found; found = REQUEST.exec(rest)) {
    parts.push(...withCode(rest.slice(0, found.index)), action(found, done));
    rest = rest.slice(found.index + found[0].length);
  }
  return [...parts, ...withCode(rest)];
}

const withCode = (text) => text.split("`").map((part, place) => (place % 2 ? h("code", {}, part) : part));

function action([all, path, job, verb, runs], done) {
  if (all.endsWith("browser here")) return h("a", { href: "login", class: "button" }, "Log in to the market");
  if (all.startsWith("GET")) return h("a", { href: "#/jobs" }, runs ? `the runs of ${runs}` : path === "quality" ? "the quality report" : "the jobs");
  const name = job ? `${NAMES[verb]} ${job}` : "Optimize now";
  return h("button", { type: "button", "data-remedy": path, onclick: (event) => send(event.currentTarget, path, done) }, name);
}

async function send(button, path, done) {
  button.disabled = true;
  try {
    await post(`api/${path}`);
    done(`${button.textContent}: started.`);
  } catch (error) {
    done(error.message);
  }
  button.disabled = false;
}
