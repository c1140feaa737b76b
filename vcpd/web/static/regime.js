// The market's regime behind the index, its periods, and the sectors as a picture and a table.
import { h, s } from "./dom.js";
import { bare, day, number, percent, shortDay, words } from "./format.js";
import { address } from "./address.js";

const WIDTH = 600;
const HEIGHT = 150;
const SHOWN_SESSIONS = 252;
const AVERAGES = [[50, "a"], [200, "b"]];
const PERIODS_SHOWN = 8;
const PICTURE = 300;
export const REGIME_SESSIONS = SHOWN_SESSIONS + 200; // the first shown session has its average of 200 too

export function regimeCards(regimes) {
  if (!regimes.length) return [h("article", { class: "card" }, h("header", {}, h("h2", {}, "The market's regime")), h("p", { class: "muted" }, "The next evening records it."))];
  return [indexCard(regimes), numbersCard(regimes)];
}

const own = (regime) => regime.indices[regime.benchmark];

function indexCard(regimes) {
  const last = regimes.at(-1);
  const closes = regimes.map((regime) => own(regime)?.close ?? null);
  const lines = AVERAGES.map(([length, tone]) => [running(closes, length).slice(-SHOWN_SESSIONS), tone]);
  const shown = regimes.slice(-SHOWN_SESSIONS);
  const drawn = closes.slice(-SHOWN_SESSIONS);
  const values = [drawn, ...lines.map(([line]) => line)].flat().filter((value) => value !== null);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const height = (value) => HEIGHT - ((value - least) / Math.max(most - least, 1e-9)) * HEIGHT;
  const wide = WIDTH / shown.length;
  const background = periods(shown).map(({ term, first, count }) => s("rect", { class: `term-${term}`, x: first * wide, y: 0, width: count * wide, height: HEIGHT }));
  const label = `${bare(last.benchmark)} over ${shown.length} sessions; now ${words(last.term)}`;
  const plot = s("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    ...background, ...lines.map(([line, tone]) => s("path", { class: tone, d: path(line, wide, height) })), s("path", { class: "close", d: path(drawn, wide, height) }));
  return h("article", { class: "card" }, h("header", {}, h("h2", {}, bare(last.benchmark)), h("span", { class: `now term-${last.term}` }, words(last.term))), plot,
    h("div", { class: "axis" }, h("span", {}, day(shown[0].session)), h("span", {}, day(last.session))),
    h("div", { class: "keys" }, AVERAGES.map(([length, tone]) => h("span", { class: tone }, `SMA${length}`)), [...new Set(shown.map((regime) => regime.term))].map((term) => h("span", { class: `term-${term}` }, words(term)))));
}

function numbersCard(regimes) {
  const last = regimes.at(-1);
  const rows = Object.entries(last.indices).map(([symbol, index]) => [bare(symbol), `${words(index.term)}${index.since ? ` since ${day(index.since)}` : ""}; ${counts(index)}`]);
  const breadth = last.breadth;
  if (breadth) {
    const traded = breadth.up_value + breadth.down_value;
    rows.push(["above SMA50, 150, 200", [breadth.above_sma50_pct, breadth.above_sma150_pct, breadth.above_sma200_pct].map((share) => percent(share, 0)).join(", ")],
      ["new highs, lows", `${breadth.new_highs}, ${breadth.new_lows}`], ["up, down", `${breadth.advances}, ${breadth.declines}; ${percent(traded ? (100 * breadth.up_value) / traded : null, 0)} of the traded value rose`],
      ["McClellan oscillator", number(breadth.mcclellan)]);
  }
  if (last.setups_worked !== null) rows.push(["setups", `${last.setups_worked} rose beyond their buy zone, ${last.setups_failed} failed`]);
  const past = periods(regimes).reverse().slice(0, PERIODS_SHOWN).map(({ term, first, count }) => {
    const [from, to] = [regimes[first], regimes[first + count - 1]];
    const change = own(from) && own(to) ? 100 * (own(to).close / own(from).close - 1) : null;
    return h("tr", {}, h("td", {}, words(term)), h("td", {}, `${shortDay(from.session)} to ${day(to.session)}`), h("td", {}, percent(change)));
  });
  return h("article", { class: "card" }, h("header", {}, h("h2", {}, "Behind the regime")), h("div", { class: "wide-table", tabindex: 0, role: "region", "aria-label": "Numbers of the regime" }, h("table", { class: "small bets" }, h("tbody", {}, rows.map(([name, text]) => h("tr", {}, h("td", {}, name), h("td", {}, text)))))),
    h("div", { class: "wide-table", tabindex: 0, role: "region", "aria-label": "Earlier regimes" }, h("table", { class: "small bets" }, h("thead", {}, h("tr", {}, ["regime", "sessions", "index"].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, past))));
}

function counts(index) {
  if (index.distribution_days === null) return "distribution days unknown: no volume is known";
  const parts = [`${index.distribution_days} distribution days by ${index.volume_sources.join(" and ")}`];
  if (index.unmeasured_sessions) parts.push(`${index.unmeasured_sessions} sessions unmeasured`);
  if (index.follow_through) parts.push(`follow-through day ${day(index.follow_through)}`);
  if (index.rally_day) parts.push(`day ${index.rally_day} of a rally attempt`);
  return parts.join(", ");
}

function periods(regimes) {
  const found = [];
  regimes.forEach((regime, at) => {
    if (found.at(-1)?.term === regime.term) found.at(-1).count += 1;
    else found.push({ term: regime.term, first: at, count: 1 });
  });
  return found;
}

function running(values, length) {
  return values.map((_, at) => {
    const span = values.slice(at + 1 - length, at + 1);
    return at + 1 < length || span.includes(null) ? null : span.reduce((sum, value) => sum + value, 0) / length;
  });
}

function path(values, wide, height) {
  let pen = "M";
  return values.map((value, at) => {
    if (value === null) { pen = "M"; return ""; }
    const point = `${pen}${((at + 0.5) * wide).toFixed(1)} ${height(value).toFixed(1)}`;
    pen = "L";
    return point;
  }).join("");
}

export function sectorCards(sectors, industries) {
  if (!sectors?.items.length) return [];
  return [rotationCard(sectors.items), sectorTable(sectors, "Sectors"), ...(industries?.items.length ? [sectorTable(industries, "Industries")] : [])];
}

function rotationCard(items) {
  const placed = items.filter((sector) => sector.quadrant);
  if (!placed.length) return null;
  const reach = (name) => Math.max(1, ...placed.map((sector) => Math.abs(sector[name] - 100))) * 1.15;
  const [across, upwards] = [reach("relative_strength"), reach("momentum")];
  const half = PICTURE / 2;
  const corner = (text, x, y, anchor) => s("text", { class: "corner", x, y, "text-anchor": anchor }, text);
  const dots = placed.map((sector) => {
    const x = WIDTH / 2 + ((sector.relative_strength - 100) / across) * (WIDTH / 2);
    const y = half - ((sector.momentum - 100) / upwards) * half;
    return s("g", {}, s("circle", { class: `q-${sector.quadrant}`, cx: x, cy: y, r: 5 }, s("title", {}, `${sector.sector}: strength ${number(sector.relative_strength)}, momentum ${number(sector.momentum)}`)),
      s("text", { x: x > WIDTH * 0.75 ? x - 8 : x + 8, y: y + 3, "text-anchor": x > WIDTH * 0.75 ? "end" : "start" }, sector.sector));
  });
  const plot = s("svg", { class: "plot rotation", viewBox: `0 0 ${WIDTH} ${PICTURE}`, role: "img", "aria-label": "Sectors by relative strength and its momentum" },
    s("line", { class: "grid", x1: 0, x2: WIDTH, y1: half, y2: half }), s("line", { class: "grid", x1: WIDTH / 2, x2: WIDTH / 2, y1: 0, y2: PICTURE }),
    corner("improving", 4, 12, "start"), corner("leading", WIDTH - 4, 12, "end"), corner("lagging", 4, PICTURE - 4, "start"), corner("weakening", WIDTH - 4, PICTURE - 4, "end"), ...dots);
  return h("article", { class: "card row-wide" }, h("header", {}, h("h2", {}, "Sectors: strength across, momentum upwards")), plot);
}

function sectorTable(sectors, title) {
  const earlier = (name, back) => sectors.history.find((entry) => entry.sector === name)?.ranks.at(-1 - back) ?? "–";
  const row = (sector) => h("tr", {}, h("td", { title: sector.parent ?? "" }, sector.sector), h("td", {}, sector.leaders.flatMap((symbol, at) => [at ? ", " : "", h("a", { href: address(symbol) }, bare(symbol))])),
    [sector.rank ?? "–", earlier(sector.sector, 5), earlier(sector.sector, 20), sector.n_symbols, number(sector.rs_rating, 0), percent(sector.above_sma50_pct, 0), sector.quadrant ?? "–"].map((value) => h("td", {}, String(value))));
  return h("article", { class: "card row-wide" }, h("header", {}, h("h2", {}, title), h("span", { class: "now" }, `after ${day(sectors.as_of)}`)),
    h("div", { class: "wide-table", tabindex: 0, role: "region", "aria-label": title }, h("table", { class: `small bets ${title.toLowerCase()}` }, h("thead", {}, h("tr", {}, [title === "Sectors" ? "sector" : "industry", "leaders", "rank", "5 sessions ago", "20 sessions ago", "shares", "RS", "above SMA50", "quadrant"].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, sectors.items.map(row)))));
}
