// What the words on the page mean: a term opens its explanation.
import { byId, h } from "./dom.js";

export const GLOSSARY = {
  "setup": "An open base that was admitted when it passed every gate and has not left since.",
  "footprint":
    "A base in short: 11W 24/7 3T lasts 11 weeks, its deepest contraction is 24 %, its last one 7 %, and there are 3 contractions.",
  "contraction": "A fall within the base from a high to a low. In a VCP each is shallower than the one before.",
  "pivot": "The price at which the base breaks out: the high of its last contraction.",
  "buy zone": "From the pivot to 5 % above it. Higher, the price is extended.",
  "stop":
    "The price at which a purchase is given up. Shown is the nearer of the low of the last contraction and the greatest "
    + "risk that the settings allow.",
  "structural stop": "Below the low of the last contraction, wherever that lies.",
  "distance to the pivot": "How far the close must rise to the pivot; negative above it.",
  "distance to the stop": "How far the stop lies below the entry, in percent of the entry.",
  "RS": "Relative strength: the rank of the share's return over the last year among all shares, from 1 to 99.",
  "RS line": "The share's close over the index's, so that its last value is 100. Rising: the share does better than the index.",
  "gate": "A condition that a base must meet to become a setup, such as a price above its average of 200 sessions.",
  "tolerance": "A gate by which a setup may miss its threshold a little without leaving the list.",
  "group": "One of the four lists: setups, followed, above pivot, ended. A base is in one of them at a time.",
  "sessions in the group": "Trading sessions since the base came into the list that shows it; 1 on the first day.",
  "state":
    "Forming: far from the pivot. Near pivot: close below it. Breakout: closed above it on volume. Squat: fell back below "
    + "the pivot after a breakout. Extended: above the buy zone. Under stop, failed, expired: over, or nearly so.",
  "squat": "A breakout that closed back below the pivot within a few sessions. It may be reclaimed.",
  "risk": "How much the share moves, gaps and falls, compared with the others: 100 is the riskiest.",
  "ADR": "Average daily range: how far a day's high lies above its low, on average of 20 sessions.",
  "turnover": "The median value of the shares traded in a day, over 50 sessions.",
  "delivery": "The share of the traded volume that changed hands for good, as the exchange publishes it.",
  "sector rank": "The place of the company's sector among all sectors by relative strength; 1 is the strongest.",
  "R": "What a share loses from the entry to the initial stop. A result of +2 R gained twice that.",
  "lot": "The shares of one purchase that are still held. Sales take the oldest lot first.",
  "heat": "What the account loses if every stop is hit, in percent of its value. A lot without a stop counts with its whole value.",
  "regime": "What the market as a whole does: a confirmed uptrend, an uptrend under pressure, or a correction.",
  "distribution day": "A session in which the index fell on more volume than the day before. Several in a few weeks warn of a correction.",
};

// A word that explains itself: its title on the pointer, the glossary on a click.
export function term(key, text = key) {
  if (!(key in GLOSSARY)) return text;
  return h("button", { type: "button", class: "term", title: GLOSSARY[key], "aria-haspopup": "dialog", onclick: () => show(key) }, text);
}

export const meaning = (key) => GLOSSARY[key] ?? null;

function show(key) {
  const place = byId("glossary-list");
  if (!place.childElementCount) {
    const entry = ([name, text]) => [h("dt", { "data-term": name }, name), h("dd", {}, text)];
    place.replaceChildren(...Object.entries(GLOSSARY).flatMap(entry));
  }
  byId("glossary").showModal();
  const entry = key && place.querySelector(`[data-term="${key}"]`);
  for (const old of place.querySelectorAll(".found")) old.classList.remove("found");
  entry?.classList.add("found");
  entry?.scrollIntoView({ block: "center" });
}

export function listen() {
  byId("show-glossary").addEventListener("click", () => show(null));
  byId("glossary-close").addEventListener("click", () => byId("glossary").close());
}
