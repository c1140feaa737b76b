// The view of positions: the report is drawn again when its data changed; forms and messages are built once and stay.
import { get } from "./api.js";
import { byId, errorNotice, h, notice, skeleton, update } from "./dom.js";
import { TRADES_SHOWN, accountCurve, heatGauge, heldLots, journalTable } from "./positions_report.js";
import { addForm, importForm, removalForm, rulesForm, stopForm } from "./trade_forms.js";

const message = h("div", { id: "position-change", "aria-live": "polite" });
const ruleSets = h("datalist", { id: "rule-sets" });
let report = null;
let shownVersion;
let lastRequest = 0;

export async function show(version) {
  report ??= build();
  if (shownVersion === version) return;
  shownVersion = version;
  await renew();
}

function build() {
  const place = h("div", { id: "position-report" }, skeleton(6));
  const forms = h("div", { class: "cards" }, addForm(message, renew), stopForm(message, renew), rulesForm(message, renew), removalForm(message, renew), importForm(message, renew));
  byId("view-positions").replaceChildren(place, h("div", { class: "page" }, message, forms, ruleSets));
  return place;
}

// Of answers that overlap only the one to the last request is drawn.
async function renew() {
  const request = ++lastRequest;
  try {
    const [held, heat, journal] = await Promise.all([get("api/positions"), get("api/heat"), get(`api/journal?trades=${TRADES_SHOWN}`)]);
    if (request !== lastRequest) return;
    update(ruleSets, held.rule_sets ?? [], (names) => names.map((name) => h("option", { value: name })));
    update(report, { held, heat, journal }, draw);
  } catch (error) {
    if (request !== lastRequest) return;
    shownVersion = undefined;
    update(report, { failed: error.message }, () => errorNotice(error, renew));
  }
}

function draw({ held, heat, journal }) {
  if (!held.session) return notice("No positions yet", "Add a purchase or import a file of trades.");
  return h("div", { class: "page" }, h("div", { class: "cards" },
    heldLots(held), heatGauge(heat), accountCurve(heat.curve), journalTable(journal, { message, renew })));
}
