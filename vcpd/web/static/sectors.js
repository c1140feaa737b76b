// Sectors and industries: where each stands by relative strength and its momentum, and their ranks.
import { card, cells, symbolLinks, table, titled, wideTable } from "./cards.js";
import { h, s } from "./dom.js";
import { day, number, percent } from "./format.js";
import { WIDTH } from "./plots.js";

const PICTURE_HEIGHT = 300;
const MIDDLE = [WIDTH / 2, PICTURE_HEIGHT / 2];
const MARGIN = 1.15; // the outermost sector stays off the edge
const LABEL_LEFT_FROM = WIDTH * 0.75; // further right a label stands before its dot
const CORNERS = [
  ["improving", 4, 12, "start"], ["leading", WIDTH - 4, 12, "end"],
  ["lagging", 4, PICTURE_HEIGHT - 4, "start"], ["weakening", WIDTH - 4, PICTURE_HEIGHT - 4, "end"],
];
const EARLIER_SESSIONS = [5, 20];

export function sectorCards(sectors, industries) {
  if (!sectors?.items.length) return [];
  const ofIndustries = industries?.items.length ? [ranksCard(industries, "Industries", "industry")] : [];
  return [rotationCard(sectors.items), ranksCard(sectors, "Sectors", "sector"), ...ofIndustries];
}

// 100 is the market on both scales and lies in the middle.
function rotationCard(items) {
  const placed = items.filter((sector) => sector.quadrant);
  if (!placed.length) return null;
  const reach = (name) => Math.max(1, ...placed.map((sector) => Math.abs(sector[name] - 100))) * MARGIN;
  const [across, upwards] = [reach("relative_strength"), reach("momentum")];
  const dots = placed.map((sector) => dot(sector,
    MIDDLE[0] * (1 + (sector.relative_strength - 100) / across),
    MIDDLE[1] * (1 - (sector.momentum - 100) / upwards)));
  const label = "Sectors by relative strength and its momentum";
  const attributes = { class: "plot rotation", viewBox: `0 0 ${WIDTH} ${PICTURE_HEIGHT}`, role: "img", "aria-label": label };
  return card("row-wide", titled("Sectors by strength (across) and momentum (upwards)"), s("svg", attributes, cross(), corners(), dots));
}

const cross = () => [
  s("line", { class: "grid", x1: 0, x2: WIDTH, y1: MIDDLE[1], y2: MIDDLE[1] }),
  s("line", { class: "grid", x1: MIDDLE[0], x2: MIDDLE[0], y1: 0, y2: PICTURE_HEIGHT }),
];

const corners = () => CORNERS.map(([text, x, y, anchor]) => s("text", { class: "corner", x, y, "text-anchor": anchor }, text));

function dot(sector, x, y) {
  const title = `${sector.sector}: strength ${number(sector.relative_strength)}, momentum ${number(sector.momentum)}`;
  const isRight = x > LABEL_LEFT_FROM;
  return s("g", {},
    s("circle", { class: `q-${sector.quadrant}`, cx: x, cy: y, r: 5 }, s("title", {}, title)),
    s("text", { x: isRight ? x - 8 : x + 8, y: y + 3, "text-anchor": isRight ? "end" : "start" }, sector.sector));
}

function ranksCard(listing, title, kind) {
  const earlier = EARLIER_SESSIONS.map((count) => `${count} sessions ago`);
  const heads = [kind, "leaders", "rank", ...earlier, "shares", "RS", "above SMA50", "quadrant"];
  const rows = listing.items.map((sector) => ranksRow(sector, listing.history));
  return card("row-wide", titled(title, `after ${day(listing.as_of)}`),
    wideTable(title, table(`bets ${title.toLowerCase()}`, heads, rows)));
}

function ranksRow(sector, history) {
  const ranks = history.find((entry) => entry.sector === sector.sector)?.ranks ?? [];
  const earlier = EARLIER_SESSIONS.map((count) => ranks.at(-1 - count) ?? "–");
  const strength = [number(sector.rs_rating, 0), percent(sector.above_sma50_pct, 0), sector.quadrant ?? "–"];
  const values = [sector.rank ?? "–", ...earlier, sector.n_symbols, ...strength];
  return h("tr", {},
    h("td", { title: sector.parent ?? "" }, sector.sector),
    h("td", {}, symbolLinks(sector.leaders)),
    cells(values.map(String)));
}
