// The market's regime behind the index, the numbers that it is made of, and its earlier periods.
import { axis, card, cells, keys, muted, rowOf, table, titled, wideTable } from "./cards.js";
import { h, s } from "./dom.js";
import { bare, day, number, percent, shortDay, words } from "./format.js";
import { HEIGHT, WIDTH, between, frame, path } from "./plots.js";

const SHOWN_SESSIONS = 252;
const AVERAGES = [[50, "a"], [200, "b"]];
const PERIODS_SHOWN = 8;
export const REGIME_SESSIONS = SHOWN_SESSIONS + 200; // the first shown session has its average of 200 too

export function regimeCards(regimes) {
  if (!regimes.length) return [card("", titled("The market's regime"), muted("The next evening records it."))];
  return [indexCard(regimes), numbersCard(regimes)];
}

const benchmarkOf = (regime) => regime.indices[regime.benchmark];

function indexCard(regimes) {
  const last = regimes.at(-1);
  const shown = regimes.slice(-SHOWN_SESSIONS);
  const label = `${bare(last.benchmark)} over ${shown.length} sessions; now ${words(last.term)}`;
  const terms = [...new Set(shown.map((regime) => regime.term))];
  return card("",
    titled(bare(last.benchmark), words(last.term), `term-${last.term}`),
    frame(label, background(shown), indexLines(regimes, shown.length)),
    axis(day(shown[0].session), day(last.session)),
    keys([...AVERAGES.map(([length, tone]) => [tone, `SMA${length}`]), ...terms.map((term) => [`term-${term}`, words(term)])]));
}

function background(shown) {
  const wide = WIDTH / shown.length;
  return periods(shown).map(({ term, first, count }) =>
    s("rect", { class: `term-${term}`, x: first * wide, y: 0, width: count * wide, height: HEIGHT }));
}

// The averages and the close over them, on one scale; each session takes an equal part of the width.
function indexLines(regimes, count) {
  const closes = regimes.map((regime) => benchmarkOf(regime)?.close ?? null);
  const lines = [...AVERAGES.map(([length, tone]) => [running(closes, length), tone]), [closes, "close"]]
    .map(([values, tone]) => [values.slice(-SHOWN_SESSIONS), tone]);
  const known = lines.flatMap(([values]) => values).filter((value) => value !== null);
  const height = between(Math.min(...known), Math.max(...known));
  const across = (at) => ((at + 0.5) * WIDTH) / count;
  return lines.map(([values, tone]) => s("path", { class: tone, d: path(values, across, height) }));
}

function running(values, length) {
  return values.map((_, at) => {
    const span = values.slice(Math.max(0, at + 1 - length), at + 1);
    return span.length < length || span.includes(null) ? null : span.reduce((sum, value) => sum + value, 0) / length;
  });
}

function numbersCard(regimes) {
  const last = regimes.at(-1);
  const rows = [...indexRows(last), ...breadthRows(last.breadth), ...setupRows(last)];
  return card("", titled("Behind the regime"),
    wideTable("Numbers of the regime", table("bets", null, rows.map((row) => rowOf(...row)))),
    wideTable("Earlier regimes", table("bets", ["regime", "sessions", "index"], earlierPeriods(regimes))));
}

function indexRows(regime) {
  return Object.entries(regime.indices).map(([symbol, index]) => {
    const since = index.since ? ` since ${day(index.since)}` : "";
    return [bare(symbol), `${words(index.term)}${since}; ${counts(index)}`];
  });
}

function breadthRows(breadth) {
  if (!breadth) return [];
  const traded = breadth.up_value + breadth.down_value;
  const rose = percent(traded ? (100 * breadth.up_value) / traded : null, 0);
  const above = [breadth.above_sma50_pct, breadth.above_sma150_pct, breadth.above_sma200_pct];
  return [
    ["above SMA50, 150, 200", above.map((share) => percent(share, 0)).join(", ")],
    ["new highs, lows", `${breadth.new_highs}, ${breadth.new_lows}`],
    ["up, down", `${breadth.advances}, ${breadth.declines}; ${rose} of the traded value rose`],
    ["McClellan oscillator", number(breadth.mcclellan)],
  ];
}

const setupRows = ({ setups_worked: worked, setups_failed: failed }) =>
  (worked === null ? [] : [["setups", `${worked} rose beyond their buy zone, ${failed} failed`]]);

function counts(index) {
  if (index.distribution_days === null) return "distribution days unknown: no volume is known";
  const parts = [`${index.distribution_days} distribution days by ${index.volume_sources.join(" and ")}`];
  if (index.unmeasured_sessions) parts.push(`${index.unmeasured_sessions} sessions unmeasured`);
  if (index.follow_through) parts.push(`follow-through day ${day(index.follow_through)}`);
  if (index.rally_day) parts.push(`day ${index.rally_day} of a rally attempt`);
  return parts.join(", ");
}

function earlierPeriods(regimes) {
  return periods(regimes).reverse().slice(0, PERIODS_SHOWN).map(({ term, first, count }) => {
    const [from, to] = [regimes[first], regimes[first + count - 1]];
    const [before, after] = [benchmarkOf(from), benchmarkOf(to)];
    const change = before && after ? 100 * (after.close / before.close - 1) : null;
    return h("tr", {}, cells([words(term), `${shortDay(from.session)} to ${day(to.session)}`, percent(change)]));
  });
}

// Neighbouring sessions of one term as one period.
function periods(regimes) {
  const found = [];
  regimes.forEach((regime, at) => {
    if (found.at(-1)?.term === regime.term) found.at(-1).count += 1;
    else found.push({ term: regime.term, first: at, count: 1 });
  });
  return found;
}
