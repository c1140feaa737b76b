// The base on the chart: contractions with dates and depths, pivot, buy zone, stop, earlier chapters, events.
import { LineSeries, LineStyle, createSeriesMarkers } from "./vendor/lightweight-charts-5.2.1/lightweight-charts.standalone.production.js";
import { MARKED, shortDay } from "./format.js";
import { barOf } from "./indicators.js";

const CHAPTERS_SHOWN = 6;
const QUIET = { lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false };

// Weekly bars hold several of these days: of each bar the first point stays.
function ascending(points) {
  return points.filter((point, at) => at === 0 || point.time > points[at - 1].time);
}

export function addBase(chart, candles, bars, setup, colours) {
  const legs = chart.addSeries(LineSeries, { ...QUIET, color: colours.amber, lineWidth: 2 });
  const points = setup.contractions.flatMap((leg) => [{ time: barOf(bars, leg.high_date), value: leg.high }, { time: barOf(bars, leg.low_date), value: leg.low }]);
  const drawn = ascending(points);
  legs.setData(drawn);
  const times = new Set(drawn.map((point) => point.time));
  createSeriesMarkers(legs, ascending(setup.contractions.map((leg) => ({
    time: barOf(bars, leg.low_date), position: "belowBar", shape: "circle", size: 0, color: colours.amber, text: `${leg.depth_pct.toFixed(0)} % · ${shortDay(leg.low_date)}`,
  }))).filter((marker) => times.has(marker.time)));
  const level = (value, color, title) => candles.createPriceLine({ price: value, color, lineWidth: 1, lineStyle: LineStyle.Dashed, axisLabelVisible: true, title });
  level(setup.pivot, colours.accent, "pivot");
  if (setup.stop) level(setup.stop, colours.down, "stop");
  if (setup.buy_zone) candles.attachPrimitive(new Zone(barOf(bars, setup.anchor_date ?? bars.session.at(-1)), setup.buy_zone, colours.accent));
}

// The pivots of the bases before this one, from where each began to where it was judged last.
export function addChapters(chart, bars, { bases, setup }, colours) {
  const past = bases.filter((base) => base.anchor_date !== setup.anchor_date && base.last_judged >= bars.session[0]).slice(-CHAPTERS_SHOWN);
  for (const base of past) {
    const series = chart.addSeries(LineSeries, { ...QUIET, color: colours.text, lineWidth: 1, lineStyle: LineStyle.Dotted, autoscaleInfoProvider: () => null });
    const points = ascending([base.anchor_date, base.last_judged].map((day) => ({ time: barOf(bars, day), value: base.pivot })));
    series.setData(points);
    createSeriesMarkers(series, [{ time: points[0].time, position: "aboveBar", shape: "circle", size: 0, color: colours.text, text: base.footprint }]);
  }
}

export function eventMarkers(bars, events, colours) {
  const first = bars.session[0];
  return events.filter((event) => event.session >= first).map((event) => ({
    time: barOf(bars, event.session), position: "aboveBar", shape: "arrowDown", size: 0.6, text: MARKED[event.kind] ?? "",
    color: event.kind === "failed" ? colours.down : event.kind === "breakout" ? colours.up : colours.text,
  }));
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
