// The chart in words and figures: the bar under the crosshair, a measured distance, and a text for those who do not see it.
import { h } from "./dom.js";
import { bare, count, day, percent, price, shortDay, signed } from "./format.js";
import { fillsInWords, holdingInWords } from "./holding.js";

const NOTICES = { running: "running session, provisional", stored: "provisional" };

// The bar at `time`, or the last one: open, high, low, close, change and volume.
export function figures(bars, time) {
  const last = bars.count - 1;
  const at = time === undefined ? last : bars.session.indexOf(time);
  if (at < 0) return [];
  const isRunning = at === last && Boolean(bars.running);
  const change = at > 0 ? 100 * (bars.close[at] / bars.close[at - 1] - 1) : null;
  const prices = ["open", "high", "low", "close"].flatMap((name) => figure(name[0].toUpperCase(), price(bars[name][at])));
  return [
    `${shortDay(isRunning ? bars.running : bars.session[at])} `, ...prices,
    h("span", { class: change < 0 ? "down" : "up" }, signed(change, 2)), " ", ...figure("V", count(bars.volume[at])),
    bars.provisional?.[at] ? h("span", { class: "amber" }, isRunning ? NOTICES.running : NOTICES.stored) : "",
  ];
}

// A name and its value, which stay on one line.
const figure = (name, value) => [h("span", { class: "figure" }, h("span", { class: "muted" }, name), ` ${value}`), " "];

export function distanceInWords(first, point, bars) {
  const between = Math.abs(bars.session.indexOf(point.time) - bars.session.indexOf(first.time));
  const [from, to] = [first, point].map(({ time, value }) => `${price(value)} on ${shortDay(time)}`);
  return `${from} to ${to}: ${signed(100 * (point.value / first.value - 1))}, ${between} bars`;
}

// `drawnBars` are those of the chart, which may end with the running session.
export function chartInWords({ bars, setup, holding }, drawnBars = bars) {
  return [
    `Bars of ${bare(bars.symbol)} to ${day(bars.session.at(-1))}: close ${price(bars.close.at(-1))}${baseInWords(setup)}.`,
    "With averages of 50, 150 and 200 sessions, volume and the line of relative strength.",
    drawnBars.running ? `The last bar is that of the running session of ${day(drawnBars.running)}, provisional.` : "",
    holding ? `${holdingInWords(holding)}: ${fillsInWords(holding)}.` : "",
  ].filter(Boolean).join(" ");
}

function baseInWords(setup) {
  if (!setup.pivot) return "";
  const depths = setup.contractions.map((leg) => percent(leg.depth_pct, 0)).join(", ");
  return `; pivot ${price(setup.pivot)}, stop ${price(setup.stop)}, contractions ${depths}`;
}
