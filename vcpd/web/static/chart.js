// The chart of a symbol: candles with averages, volume and relative strength, and the base drawn on them.
import { ColorType, CrosshairMode, PriceScaleMode, createChart }
  from "./vendor/lightweight-charts-5.2.1/lightweight-charts.standalone.production.js";
import { addBase, addChapters, eventMarkers } from "./chart_base.js";
import { addHolding } from "./chart_holding.js";
import { runningSession } from "./chart_running.js";
import { addAverages, addCandles, addRelativeStrength, addVolume } from "./chart_series.js";
import { weekly } from "./indicators.js";

const BARS_AHEAD = 6;
const SHOWN_BEFORE_BASE = { daily: 90, weekly: 52 };
const SHOWN_WITHOUT_BASE = { daily: 200, weekly: 104 };
const COLOURS = {
  text: "--muted", line: "--line", panel: "--panel", up: "--up", down: "--down",
  accent: "--accent", amber: "--amber", violet: "--violet", blue: "--blue",
};

function palette() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(Object.entries(COLOURS).map(([name, variable]) => [name, style.getPropertyValue(variable).trim()]));
}

// `shown` has the bars, the setup with its events and bases, the benchmark's bars or null, what is held or null;
// `choice` is weekly and log.
export function drawChart(frame, shown, choice, range = null) {
  const colours = palette();
  const bars = choice.weekly ? weekly(shown.bars) : shown.bars;
  const chart = createChart(frame, options(colours));
  const mode = choice.log ? PriceScaleMode.Logarithmic : PriceScaleMode.Normal;
  chart.priceScale("right").applyOptions({ mode });
  const candles = addCandles(chart, bars, colours);
  const volume = addVolume(chart, bars, colours);
  addAverages(chart, bars, choice.weekly, colours);
  if (shown.setup.pivot) addBase(chart, candles, bars, shown.setup, colours);
  addChapters(chart, bars, shown, colours);
  const withoutHolding = addHolding(candles, bars, eventMarkers(bars, shown.events, colours), shown.holding, colours);
  addRelativeStrength(chart, bars, shown.benchmark && (choice.weekly ? weekly(shown.benchmark) : shown.benchmark), colours);
  const session = runningSession(shown.bars, bars, choice.weekly, { candles, volume }, colours);
  chart.timeScale().setVisibleLogicalRange(range ?? baseRange(bars, shown.setup, choice.weekly));
  return {
    chart, candles, volume, bars: session.bars, quote: session.quote,
    picture: () => withoutHolding(() => chart.takeScreenshot()),
    range: () => chart.timeScale().getVisibleLogicalRange(),
    remove: followTheme(chart),
  };
}

function options(colours) {
  return {
    autoSize: true,
    layout: {
      background: { type: ColorType.Solid, color: colours.panel },
      textColor: colours.text,
      fontSize: 11,
      fontFamily: "system-ui, sans-serif",
      attributionLogo: false,
      panes: { separatorColor: colours.line, enableResize: false },
    },
    grid: { vertLines: { visible: false }, horzLines: { color: colours.line } },
    rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.06, bottom: 0.2 } },
    timeScale: { borderVisible: false, rightOffset: BARS_AHEAD },
    crosshair: { mode: CrosshairMode.Normal },
    handleScroll: { vertTouchDrag: false },
  };
}

// The base with what went before it.
function baseRange(bars, setup, isWeekly) {
  const kind = isWeekly ? "weekly" : "daily";
  const latest = bars.count - SHOWN_WITHOUT_BASE[kind];
  const anchor = setup.anchor_date ? bars.session.findIndex((day) => day >= setup.anchor_date) : -1;
  const from = anchor < 0 ? latest : Math.min(anchor - SHOWN_BEFORE_BASE[kind], bars.count - SHOWN_WITHOUT_BASE[kind] / 2);
  return { from: Math.max(0, from), to: bars.count + BARS_AHEAD };
}

function followTheme(chart) {
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const repaint = () => chart.applyOptions(options(palette()));
  scheme.addEventListener("change", repaint);
  return () => {
    scheme.removeEventListener("change", repaint);
    chart.remove();
  };
}
