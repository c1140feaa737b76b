// Candles with the base drawn on them: contractions, pivot, buy zone, stop, and what happened.
import { CandlestickSeries, ColorType, CrosshairMode, HistogramSeries, LineSeries, LineStyle, createChart, createSeriesMarkers }
  from "./vendor/lightweight-charts-5.2.1/lightweight-charts.standalone.production.js";
import { MARKED } from "./format.js";

const BARS_BEFORE_BASE = 90;
const BARS_WITHOUT_BASE = 200;
const BARS_AHEAD = 6;

const tone = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function palette() {
  const names = { text: "--muted", line: "--line", up: "--up", down: "--down", accent: "--accent", amber: "--amber", panel: "--panel" };
  return Object.fromEntries(Object.entries(names).map(([name, variable]) => [name, tone(variable)]));
}

export function drawChart(frame, bars, setup, events, range = null) {
  const colours = palette();
  const chart = createChart(frame, options(colours));
  const candles = chart.addSeries(CandlestickSeries, {
    upColor: colours.up, downColor: colours.down, wickUpColor: colours.up, wickDownColor: colours.down, borderVisible: false, priceLineVisible: false,
  });
  candles.setData(bars.session.map((time, at) => ({ time, open: bars.open[at], high: bars.high[at], low: bars.low[at], close: bars.close[at] })));
  addVolume(chart, bars, colours);
  if (setup.pivot) addBase(chart, candles, bars, setup, colours);
  addEvents(candles, bars, events, colours);
  if (range) chart.timeScale().setVisibleLogicalRange(range);
  else show(chart, bars, setup);
  return followTheme(chart);
}

function options(colours) {
  return {
    autoSize: true,
    layout: { background: { type: ColorType.Solid, color: colours.panel }, textColor: colours.text, fontSize: 11, attributionLogo: false, fontFamily: "system-ui, sans-serif" },
    grid: { vertLines: { visible: false }, horzLines: { color: colours.line } },
    rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.06, bottom: 0.2 } },
    timeScale: { borderVisible: false, rightOffset: BARS_AHEAD },
    crosshair: { mode: CrosshairMode.Normal },
    handleScroll: { vertTouchDrag: false },
  };
}

function addVolume(chart, bars, colours) {
  const volume = chart.addSeries(HistogramSeries, { priceScaleId: "volume", priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false });
  chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
  volume.setData(bars.session.map((time, at) => ({
    time, value: bars.volume[at] ?? 0, color: `${bars.close[at] >= bars.open[at] ? colours.up : colours.down}66`,
  })));
}

function addBase(chart, candles, bars, setup, colours) {
  const legs = chart.addSeries(LineSeries, { color: colours.amber, lineWidth: 2, lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false });
  const points = setup.contractions.flatMap((leg) => [{ time: leg.high_date, value: leg.high }, { time: leg.low_date, value: leg.low }]);
  legs.setData(points.filter((point, at) => at === 0 || point.time > points[at - 1].time));
  createSeriesMarkers(legs, setup.contractions.map((leg) => ({
    time: leg.low_date, position: "inBar", shape: "circle", size: 0, color: colours.amber, text: `${leg.depth_pct.toFixed(0)} %`,
  })));
  const line = (value, color, title) => candles.createPriceLine({ price: value, color, lineWidth: 1, lineStyle: LineStyle.Dashed, axisLabelVisible: true, title });
  line(setup.pivot, colours.accent, "pivot");
  if (setup.stop) line(setup.stop, colours.down, "stop");
  if (setup.buy_zone) candles.attachPrimitive(new Zone(setup.anchor_date ?? bars.session.at(-1), setup.buy_zone, colours.accent));
}

function addEvents(candles, bars, events, colours) {
  const first = bars.session[0];
  createSeriesMarkers(candles, events.filter((event) => event.session >= first).map((event) => ({
    time: event.session, position: "aboveBar", shape: "arrowDown", size: 0.6, text: MARKED[event.kind] ?? "",
    color: event.kind === "failed" ? colours.down : event.kind === "breakout" ? colours.up : colours.text,
  })));
}

function show(chart, bars, setup) {
  const anchor = setup.anchor_date ? bars.session.findIndex((day) => day >= setup.anchor_date) : -1;
  const from = anchor < 0 ? bars.count - BARS_WITHOUT_BASE : Math.min(anchor - BARS_BEFORE_BASE, bars.count - BARS_WITHOUT_BASE / 2);
  chart.timeScale().setVisibleLogicalRange({ from: Math.max(0, from), to: bars.count + BARS_AHEAD });
}

function followTheme(chart) {
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const repaint = () => chart.applyOptions(options(palette()));
  scheme.addEventListener("change", repaint);
  return { range: () => chart.timeScale().getVisibleLogicalRange(), remove: () => { scheme.removeEventListener("change", repaint); chart.remove(); } };
}

// The band of prices in which to buy, from the base's beginning to the right edge.
class Zone {
  constructor(since, [low, high], colour) {
    Object.assign(this, { since, low, high, colour });
  }

  attached({ chart, series }) {
    Object.assign(this, { chart, series });
  }

  autoscaleInfo() {
    return { priceRange: { minValue: this.low, maxValue: this.high } };
  }

  paneViews() {
    return [{ zOrder: () => "bottom", renderer: () => ({ draw: (target) => target.useBitmapCoordinateSpace((scope) => this.paint(scope)) }) }];
  }

  paint({ context, bitmapSize, horizontalPixelRatio, verticalPixelRatio }) {
    const left = (this.chart.timeScale().timeToCoordinate(this.since) ?? 0) * horizontalPixelRatio;
    const [top, bottom] = [this.high, this.low].map((value) => (this.series.priceToCoordinate(value) ?? 0) * verticalPixelRatio);
    context.globalAlpha = 0.16;
    context.fillStyle = this.colour;
    context.fillRect(left, top, bitmapSize.width - left, bottom - top);
    context.globalAlpha = 1;
  }
}
