// Candles with averages, volume and relative strength, and the base drawn on them.
import { CandlestickSeries, ColorType, CrosshairMode, HistogramSeries, LineSeries, LineStyle, PriceScaleMode, createChart }
  from "./vendor/lightweight-charts-5.2.1/lightweight-charts.standalone.production.js";
import { addBase, addChapters, eventMarkers } from "./chart_base.js";
import { addHolding } from "./chart_holding.js";
import { average, line, relativeLine, weekly, withRunning } from "./indicators.js";

const BARS_BEFORE_BASE = 90;
const BARS_WITHOUT_BASE = 200;
const BARS_AHEAD = 6;
const RS_PANE_HEIGHT = 84;
const VOLUME_AVERAGE = 50;
export const AVERAGES = [[50, "accent"], [150, "violet"], [200, "blue"]];
const WEEKLY_AVERAGES = [[10, "accent"], [30, "violet"], [40, "blue"]]; // as many weeks as sessions of the daily ones

const tone = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function palette() {
  const names = { text: "--muted", line: "--line", up: "--up", down: "--down", accent: "--accent", amber: "--amber", panel: "--panel", violet: "--violet", blue: "--blue" };
  return Object.fromEntries(Object.entries(names).map(([name, variable]) => [name, tone(variable)]));
}

// `shown` has the bars, the setup with its events and bases, the benchmark's bars or null, what is held or null; `choice` is weekly and log.
export function drawChart(frame, shown, choice, range = null) {
  const colours = palette();
  const bars = choice.weekly ? weekly(shown.bars) : shown.bars;
  const chart = createChart(frame, options(colours));
  chart.priceScale("right").applyOptions({ mode: choice.log ? PriceScaleMode.Logarithmic : PriceScaleMode.Normal });
  const candles = addCandles(chart, bars, colours);
  const volume = addVolume(chart, bars, colours);
  addAverages(chart, bars, choice.weekly ? WEEKLY_AVERAGES : AVERAGES, colours);
  if (shown.setup.pivot) addBase(chart, candles, bars, shown.setup, colours);
  addChapters(chart, bars, shown, colours);
  const withoutHolding = addHolding(candles, bars, eventMarkers(bars, shown.events, colours), shown.holding, colours);
  addRelativeStrength(chart, bars, shown.benchmark && (choice.weekly ? weekly(shown.benchmark) : shown.benchmark), colours);
  if (range) chart.timeScale().setVisibleLogicalRange(range);
  else showBase(chart, bars, shown.setup);
  const picture = () => withoutHolding(() => chart.takeScreenshot());
  const session = runningSession(shown.bars, bars, choice.weekly, { candles, volume }, colours);
  return { chart, candles, volume, bars: session.bars, picture, remove: followTheme(chart), range: () => chart.timeScale().getVisibleLogicalRange(), quote: session.quote };
}

function options(colours) {
  return {
    autoSize: true,
    layout: { background: { type: ColorType.Solid, color: colours.panel }, textColor: colours.text, fontSize: 11, attributionLogo: false, fontFamily: "system-ui, sans-serif", panes: { separatorColor: colours.line, enableResize: false } },
    grid: { vertLines: { visible: false }, horzLines: { color: colours.line } },
    rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.06, bottom: 0.2 } },
    timeScale: { borderVisible: false, rightOffset: BARS_AHEAD },
    crosshair: { mode: CrosshairMode.Normal },
    handleScroll: { vertTouchDrag: false },
  };
}

// A bar that is not final yet is drawn in outline.
function addCandles(chart, bars, colours) {
  const candles = chart.addSeries(CandlestickSeries, {
    upColor: colours.up, downColor: colours.down, wickUpColor: colours.up, wickDownColor: colours.down, borderUpColor: colours.up, borderDownColor: colours.down, priceLineVisible: false,
  });
  candles.setData(bars.session.map((_, at) => candleOf(bars, at, colours)));
  return candles;
}

const candleOf = (bars, at, colours) => ({
  time: bars.session[at], open: bars.open[at], high: bars.high[at], low: bars.low[at], close: bars.close[at], ...(bars.provisional?.[at] ? { color: colours.panel } : {}),
});

const volumeOf = (bars, at, colours) => ({
  time: bars.session[at], value: bars.volume[at] ?? 0, color: `${bars.close[at] >= bars.open[at] ? colours.up : colours.down}66`,
});

function addVolume(chart, bars, colours) {
  const bottom = { priceScaleId: "volume", lastValueVisible: false, priceLineVisible: false };
  const volume = chart.addSeries(HistogramSeries, { ...bottom, priceFormat: { type: "volume" } });
  chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
  volume.setData(bars.session.map((_, at) => volumeOf(bars, at, colours)));
  const mean = chart.addSeries(LineSeries, { ...bottom, color: colours.text, lineWidth: 1, crosshairMarkerVisible: false });
  mean.setData(line(bars.session, average(bars.volume, VOLUME_AVERAGE)));
  return volume;
}

function addAverages(chart, bars, lengths, colours) {
  for (const [length, name] of lengths) {
    const series = chart.addSeries(LineSeries, { color: colours[name], lineWidth: 1, lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false, autoscaleInfoProvider: () => null });
    series.setData(line(bars.session, average(bars.close, length)));
  }
}

function addRelativeStrength(chart, bars, benchmark, colours) {
  const values = benchmark && relativeLine(bars, benchmark);
  if (!values) return;
  const series = chart.addSeries(LineSeries, { color: colours.blue, lineWidth: 2, priceLineVisible: false, title: "RS line", priceFormat: { type: "price", precision: 1, minMove: 0.1 } }, 1);
  series.setData(line(bars.session, values));
  chart.panes()[1].setHeight(RS_PANE_HEIGHT);
}

// The running session: a line at its price, and its bar as the last one, an outline in amber, for as long as it is provisional.
// A week keeps the time of its last stored session, so that averages and marks stay where they are.
function runningSession(daily, stored, isWeekly, { candles, volume }, colours) {
  let priceLine = null;
  let bars = stored;

  function merged(running) {
    const whole = withRunning(daily, running);
    if (whole === daily) return stored;
    const found = isWeekly ? weekly(whole) : whole;
    const session = found.count === stored.count ? stored.session : found.session;
    return { ...found, session, running: running.session };
  }

  function drawBar(running) {
    const before = bars;
    bars = merged(running);
    if (bars !== stored) {
      const at = bars.count - 1;
      candles.update({ ...candleOf(bars, at, colours), color: colours.panel, borderColor: colours.amber, wickColor: colours.amber });
      volume.update({ ...volumeOf(bars, at, colours), color: `${colours.amber}66` });
    } else if (before !== stored) {
      candles.setData(stored.session.map((_, at) => candleOf(stored, at, colours)));
      volume.setData(stored.session.map((_, at) => volumeOf(stored, at, colours)));
    }
  }

  function quote(price, running) {
    if (priceLine) candles.removePriceLine(priceLine);
    priceLine = price === null ? null : candles.createPriceLine({ price, color: colours.amber, lineWidth: 1, lineStyle: LineStyle.Dotted, axisLabelVisible: true, title: "now" });
    drawBar(running);
  }

  return { bars: () => bars, quote };
}

function showBase(chart, bars, setup) {
  const anchor = setup.anchor_date ? bars.session.findIndex((day) => day >= setup.anchor_date) : -1;
  const from = anchor < 0 ? bars.count - BARS_WITHOUT_BASE : Math.min(anchor - BARS_BEFORE_BASE, bars.count - BARS_WITHOUT_BASE / 2);
  chart.timeScale().setVisibleLogicalRange({ from: Math.max(0, from), to: bars.count + BARS_AHEAD });
}

function followTheme(chart) {
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const repaint = () => chart.applyOptions(options(palette()));
  scheme.addEventListener("change", repaint);
  return () => { scheme.removeEventListener("change", repaint); chart.remove(); };
}
