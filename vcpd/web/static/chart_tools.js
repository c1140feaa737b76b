// The chart with its tools: weekly bars, logarithmic scale, measure, picture, and the bar under the crosshair in figures.
import { drawChart } from "./chart.js";
import { LineSeries } from "./vendor/lightweight-charts-5.2.1/lightweight-charts.standalone.production.js";
import { h } from "./dom.js";
import { download } from "./export.js";
import { bare, count, day, percent, price, shortDay, signed } from "./format.js";
import { fillsInWords, holdingInWords } from "./holding.js";

const CHOICE_KEY = "vcpd.chart";

function storedChoice() {
  try { return JSON.parse(localStorage.getItem(CHOICE_KEY)) ?? {}; } catch { return {}; }
}

function storeChoice(choice) {
  try { localStorage.setItem(CHOICE_KEY, JSON.stringify(choice)); } catch { /* a browser without storage forgets */ }
}

// Draws into `place`; gives what the panel needs to keep the range, to show a live price and to leave.
export function chartWithTools(place, shown, range) {
  let choice = { weekly: false, log: false, ...storedChoice() };
  let drawn = null;
  let quoted = { price: null, running: null };
  let pointed; // the time under the crosshair
  let measuring = null;
  const readout = h("span", { class: "readout" });
  const frame = h("div", { class: "chart", role: "img", "aria-label": inWords(shown) });

  function draw(keep) {
    drawn?.remove();
    drawn = drawChart(frame, shown, choice, keep);
    drawn.chart.subscribeCrosshairMove((at) => { pointed = at.time; readOut(); });
    drawn.chart.subscribeClick((at) => measuring?.(at));
    pointed = undefined;
    showQuote();
  }

  function readOut() {
    if (!measuring) readout.replaceChildren(...figures(drawn.bars(), pointed));
  }

  function showQuote() {
    drawn.quote(quoted.price, quoted.running);
    frame.setAttribute("aria-label", inWords(shown, drawn.bars()));
    readOut();
  }

  const toggle = (id, name, key, title) => h("button", {
    type: "button", id, title, "aria-pressed": String(choice[key]), onclick: (event) => {
      choice = { ...choice, [key]: !choice[key] };
      storeChoice(choice);
      event.currentTarget.setAttribute("aria-pressed", String(choice[key]));
      draw(key === "weekly" ? null : drawn.range());
    },
  }, name);
  const measure = h("button", { type: "button", id: "chart-measure", "aria-pressed": "false", title: "Measure from one click to the next", onclick: () => { measuring = measuring ? null : beginMeasure(); measure.setAttribute("aria-pressed", String(measuring !== null)); } }, "Measure");

  function beginMeasure() {
    let first = null;
    let line = null;
    readout.textContent = "Click where to measure from.";
    return (at) => {
      const point = { time: at.time, value: drawn.candles.coordinateToPrice(at.point?.y ?? 0) };
      if (!point.time || point.value === null) return;
      if (first === null || first.time === point.time) { first = point; readout.textContent = "Click where to measure to."; return; }
      line ??= drawn.chart.addSeries(LineSeries, { lineWidth: 2, lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false });
      line.setData([first, point].sort((a, b) => (a.time < b.time ? -1 : 1)));
      readout.textContent = distance(first, point, drawn.bars());
      first = null;
    };
  }

  const picture = h("button", { type: "button", id: "chart-image", title: "Download the chart as a picture, without what you hold", onclick: () => drawn.picture().toBlob((blob) => download(`${bare(shown.bars.symbol)}-${shown.setup.as_of}.png`, blob)) }, "Picture");
  place.replaceChildren(h("div", { class: "chart-tools", role: "group", "aria-label": "Chart" }, readout, toggle("chart-weekly", "Weekly", "weekly", "Weekly bars (w)"), toggle("chart-log", "Log", "log", "Logarithmic scale (l)"), measure, picture), frame);
  draw(range);
  return { range: () => drawn.range(), remove: () => drawn.remove(), quote: (value, running) => { quoted = { price: value, running }; showQuote(); } };
}

// The bar at `time`, or the last one: open, high, low, close, change and volume.
function figures(bars, time) {
  const last = bars.count - 1;
  const at = time === undefined ? last : bars.session.indexOf(time);
  if (at < 0) return [];
  const change = at > 0 ? 100 * (bars.close[at] / bars.close[at - 1] - 1) : null;
  const part = (name, value) => [h("span", { class: "muted" }, `${name} `), `${value} `];
  const session = at === last ? bars.running ?? bars.session[at] : bars.session[at];
  return [`${shortDay(session)} `, ...part("O", price(bars.open[at])), ...part("H", price(bars.high[at])), ...part("L", price(bars.low[at])), ...part("C", price(bars.close[at])),
    h("span", { class: change < 0 ? "down" : "up" }, signed(change, 2)), " ", ...part("V", count(bars.volume[at])), bars.provisional?.[at] ? h("span", { class: "amber" }, at === last && bars.running ? "running session, provisional" : "provisional") : ""];
}

function distance(first, point, bars) {
  const between = Math.abs(bars.session.indexOf(point.time) - bars.session.indexOf(first.time));
  return `${price(first.value)} on ${shortDay(first.time)} to ${price(point.value)} on ${shortDay(point.time)}: ${signed(100 * (point.value / first.value - 1))}, ${between} bars`;
}

// What the chart shows, for those who do not see it.
function inWords({ bars, setup, holding }, drawnBars = bars) {
  const base = setup.pivot ? `; pivot ${price(setup.pivot)}, stop ${price(setup.stop)}, contractions ${setup.contractions.map((leg) => percent(leg.depth_pct, 0)).join(", ")}` : "";
  const running = drawnBars.running ? ` The last bar is that of the running session of ${day(drawnBars.running)}, provisional.` : "";
  return `Bars of ${bare(bars.symbol)} to ${day(bars.session.at(-1))}: close ${price(bars.close.at(-1))}${base}. With averages of 50, 150 and 200 sessions, volume and the line of relative strength.${running}${holding ? ` ${holdingInWords(holding)}: ${fillsInWords(holding)}.` : ""}`;
}
