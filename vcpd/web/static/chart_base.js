// The base on the chart: contractions with dates and depths, pivot, buy zone, stop, earlier chapters, events.
import { LineSeries, LineStyle, createSeriesMarkers }
  from "./vendor/lightweight-charts-5.2.1/lightweight-charts.standalone.production.js";
import { MARKED, shortDay } from "./format.js";
import { barOf } from "./indicators.js";

const CHAPTERS_SHOWN = 6;
const LABEL = { shape: "circle", size: 0 }; // a text without a sign
const QUIET = { lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false };

// Weekly bars hold several of these days: of each bar the first point stays.
function ascending(points) {
  return points.filter((point, at) => at === 0 || point.time > points[at - 1].time);
}

export function addBase(chart, candles, bars, setup, colours) {
  addContractions(chart, bars, setup.contractions, colours.amber);
  addLevel(candles, setup.pivot, colours.accent, "pivot");
  if (setup.stop) addLevel(candles, setup.stop, colours.down, "stop");
  const since = barOf(bars, setup.anchor_date ?? bars.session.at(-1));
  if (setup.buy_zone) candles.attachPrimitive(new Zone(since, setup.buy_zone, colours.accent));
}

// From each high to its low and on to the next high; at each low its depth and day.
function addContractions(chart, bars, contractions, color) {
  const legs = chart.addSeries(LineSeries, { ...QUIET, color, lineWidth: 2 });
  const ends = (leg) => [[leg.high_date, leg.high], [leg.low_date, leg.low]];
  const points = ascending(contractions.flatMap(ends).map(([day, value]) => ({ time: barOf(bars, day), value })));
  legs.setData(points);
  const times = new Set(points.map((point) => point.time));
  const labels = contractions.map((leg) => ({
    ...LABEL, time: barOf(bars, leg.low_date), position: "belowBar", color,
    text: `${leg.depth_pct.toFixed(0)} % · ${shortDay(leg.low_date)}`,
  }));
  createSeriesMarkers(legs, ascending(labels).filter((label) => times.has(label.time)));
}

function addLevel(candles, price, color, title) {
  candles.createPriceLine({ price, color, title, lineWidth: 1, lineStyle: LineStyle.Dashed, axisLabelVisible: true });
}

// The pivots of the bases before this one, from where each began to where it was judged last.
export function addChapters(chart, bars, { bases, setup }, colours) {
  const isPast = (base) => base.anchor_date !== setup.anchor_date && base.last_judged >= bars.session[0];
  const style = { ...QUIET, color: colours.text, lineWidth: 1, lineStyle: LineStyle.Dotted, autoscaleInfoProvider: () => null };
  for (const base of bases.filter(isPast).slice(-CHAPTERS_SHOWN)) {
    const series = chart.addSeries(LineSeries, style);
    const points = [base.anchor_date, base.last_judged].map((day) => ({ time: barOf(bars, day), value: base.pivot }));
    series.setData(ascending(points));
    const name = { ...LABEL, time: points[0].time, position: "aboveBar", color: colours.text, text: base.footprint };
    createSeriesMarkers(series, [name]);
  }
}

export function eventMarkers(bars, events, colours) {
  const tones = { failed: colours.down, breakout: colours.up };
  const sign = { position: "aboveBar", shape: "arrowDown", size: 0.6 };
  return events.filter((event) => event.session >= bars.session[0]).map(({ session, kind }) => (
    { ...sign, time: barOf(bars, session), text: MARKED[kind] ?? "", color: tones[kind] ?? colours.text }));
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
    const draw = (target) => target.useBitmapCoordinateSpace((scope) => this.paint(scope));
    return [{ zOrder: () => "bottom", renderer: () => ({ draw }) }];
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
