// What is held, on the chart: a marker at each purchase and sale, a line at each stop; a downloaded picture has neither.
import { LineStyle, createSeriesMarkers }
  from "./vendor/lightweight-charts-5.2.1/lightweight-charts.standalone.production.js";
import { whole } from "./format.js";
import { added } from "./holding.js";
import { barOf } from "./indicators.js";

const SHAPES = { bought: { position: "belowBar", shape: "arrowUp" }, sold: { position: "aboveBar", shape: "arrowDown" } };

// Trades before the first bar and after the last have no marker; those within one bar have one for each side.
export function fillMarkers(bars, fills, color) {
  const shown = fills.filter(({ session }) => session >= bars.session[0] && session <= bars.session.at(-1));
  return added(shown, ({ session }) => barOf(bars, session)).map(({ side, session, quantity }) => (
    { time: session, ...SHAPES[side], color, text: `${side} ${whole(quantity)}` }));
}

const byTime = (a, b) => (a.time < b.time ? -1 : Number(a.time > b.time));

// Draws `events`, which are markers, and what is held, or null. Returns a function that runs another one while nothing
// that is held is drawn.
export function addHolding(candles, bars, events, holding, colours) {
  const markers = createSeriesMarkers(candles, events);
  if (!holding) return (run) => run();
  const all = [...events, ...fillMarkers(bars, holding.fills, colours.blue)].sort(byTime);
  const style = { color: colours.down, lineWidth: 2, lineStyle: LineStyle.Solid, axisLabelVisible: true, title: "your stop" };
  let lines = [];
  const show = () => {
    markers.setMarkers(all);
    lines = holding.stops.map((price) => candles.createPriceLine({ ...style, price }));
  };
  const hide = () => {
    markers.setMarkers(events);
    lines.forEach((line) => candles.removePriceLine(line));
  };
  show();
  return (run) => {
    hide();
    try { return run(); } finally { show(); }
  };
}
