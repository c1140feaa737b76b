// The Market view: regime, breadth, sectors, and setups that move together.
import { get } from "./api.js";
import { breadthCards } from "./breadth.js";
import { crowdingCard } from "./crowding.js";
import { byId, errorNotice, h, notice, skeleton, update } from "./dom.js";
import { REGIME_SESSIONS, regimeCards } from "./regime.js";
import { sectorCards } from "./sectors.js";

let shownVersion;
let lastRequest = 0;

export async function show(version, asOf) {
  const view = byId("view-market");
  if (version === null) {
    if (!view.childElementCount) update(view, "loading", () => skeleton(6));
  } else if (asOf === undefined) {
    update(view, "no bars", () => notice("No breadth yet", "Breadth is shown as soon as there are bars."));
  } else if (shownVersion !== version) {
    shownVersion = version;
    if (!view.childElementCount) update(view, "loading", () => skeleton(6));
    await load(view, () => show(version, asOf));
  }
}

// Of answers that overlap only the one to the last request is drawn.
async function load(view, again) {
  const request = ++lastRequest;
  try {
    const found = await ask();
    if (request === lastRequest) update(view, found, draw);
  } catch (error) {
    if (request !== lastRequest) return;
    shownVersion = undefined;
    const failed = () => (error.status === 503 ? notice("No breadth yet", error.message) : errorNotice(error, again));
    update(view, { failed: error.message }, failed);
  }
}

async function ask() {
  const [market, crowding, regime, sectors, industries] = await Promise.all([
    get("api/breadth"),
    get("api/crowding").catch(() => null),
    get(`api/regime?sessions=${REGIME_SESSIONS}`),
    get("api/sectors"),
    get("api/sectors?level=industry"),
  ]);
  return { market, crowding, regime, sectors, industries };
}

function draw({ market, crowding, regime, sectors, industries }) {
  const cards = [regimeCards(regime.items), breadthCards(market), sectorCards(sectors, industries), crowdingCard(crowding)];
  return h("div", { class: "page" }, h("div", { class: "cards" }, cards.flat()));
}
