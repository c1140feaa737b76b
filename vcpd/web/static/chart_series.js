// The series of the chart: candles, volume with its average, averages of the close, the line of relative strength.
import { CandlestickSeries, HistogramSeries, LineSeries }
  from "./vendor/lightweight-charts-5.2.1/lightweight-charts.standalone.production.js";
import { average, line, relativeLine } from "./indicators.js";

const RS_PANE = 1;
const RS_PANE_HEIGHT = 84;
const VOLUME_AVERAGE = 50;
const AVERAGES = [[50, "accent"], [150, "violet"], [200, "blue"]];
const WEEKLY_AVERAGES = [[10, "accent"], [30, "violet"], [40, "blue"]]; // as many weeks as sessions of the daily ones
const QUIET = { lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false };

// A bar that is not final yet is drawn in outline.
export function addCandles(chart, bars, colours) {
  const { up, down } = colours;
  const candles = chart.addSeries(CandlestickSeries, {
    upColor: up, downColor: down, wickUpColor: up, wickDownColor: down, borderUpColor: up, borderDownColor: down,
    priceLineVisible: false,
  });
  candles.setData(candlesOf(bars, colours));
  return candles;
}

export const candlesOf = (bars, colours) => bars.session.map((_, at) => candleOf(bars, at, colours));

export function candleOf(bars, at, colours) {
  const prices = { open: bars.open[at], high: bars.high[at], low: bars.low[at], close: bars.close[at] };
  return { time: bars.session[at], ...prices, ...(bars.provisional?.[at] ? { color: colours.panel } : {}) };
}

export function addVolume(chart, bars, colours) {
  const bottom = { ...QUIET, priceScaleId: "volume" };
  const volume = chart.addSeries(HistogramSeries, { ...bottom, priceFormat: { type: "volume" } });
  chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
  volume.setData(volumesOf(bars, colours));
  const mean = chart.addSeries(LineSeries, { ...bottom, color: colours.text, lineWidth: 1 });
  mean.setData(line(bars.session, average(bars.volume, VOLUME_AVERAGE)));
  return volume;
}

export const volumesOf = (bars, colours) => bars.session.map((_, at) => volumeOf(bars, at, colours));

export function volumeOf(bars, at, colours) {
  const tone = bars.close[at] >= bars.open[at] ? colours.up : colours.down;
  return { time: bars.session[at], value: bars.volume[at] ?? 0, color: `${tone}66` };
}

// The averages leave the scale to the candles.
export function addAverages(chart, bars, isWeekly, colours) {
  const style = { ...QUIET, lineWidth: 1, autoscaleInfoProvider: () => null };
  for (const [length, name] of isWeekly ? WEEKLY_AVERAGES : AVERAGES) {
    const series = chart.addSeries(LineSeries, { ...style, color: colours[name] });
    series.setData(line(bars.session, average(bars.close, length)));
  }
}

export function addRelativeStrength(chart, bars, benchmark, colours) {
  const values = benchmark && relativeLine(bars, benchmark);
  if (!values) return;
  const series = chart.addSeries(LineSeries, {
    color: colours.blue, lineWidth: 2, priceLineVisible: false, title: "RS line",
    priceFormat: { type: "price", precision: 1, minMove: 0.1 },
  }, RS_PANE);
  series.setData(line(bars.session, values));
  chart.panes()[RS_PANE].setHeight(RS_PANE_HEIGHT);
}
