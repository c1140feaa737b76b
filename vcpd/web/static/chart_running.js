// The running session on the chart: a line at its price, and its bar as the last one for as long as it is provisional.
import { LineStyle } from "./vendor/lightweight-charts-5.2.1/lightweight-charts.standalone.production.js";
import { candleOf, candlesOf, volumeOf, volumesOf } from "./chart_series.js";
import { weekly, withRunning } from "./indicators.js";

// `daily` are the stored bars of each session, `stored` those that the chart shows, of sessions or of weeks.
export function runningSession(daily, stored, isWeekly, { candles, volume }, colours) {
  let priceLine = null;
  let bars = stored;

  function drawPrice(price) {
    if (priceLine) candles.removePriceLine(priceLine);
    const style = { color: colours.amber, lineWidth: 1, lineStyle: LineStyle.Dotted, axisLabelVisible: true, title: "now" };
    priceLine = price === null ? null : candles.createPriceLine({ ...style, price });
  }

  // An outline in amber; once the session is over, what is stored again.
  function drawBar(running) {
    const before = bars;
    bars = merged(daily, stored, isWeekly, running);
    const last = bars.count - 1;
    if (bars !== stored) {
      const outline = { color: colours.panel, borderColor: colours.amber, wickColor: colours.amber };
      candles.update({ ...candleOf(bars, last, colours), ...outline });
      volume.update({ ...volumeOf(bars, last, colours), color: `${colours.amber}66` });
    } else if (before !== stored) {
      candles.setData(candlesOf(stored, colours));
      volume.setData(volumesOf(stored, colours));
    }
  }

  function quote(price, running) {
    drawPrice(price);
    drawBar(running);
  }

  return { bars: () => bars, quote };
}

// A week keeps the time of its last stored session, so that averages and marks stay where they are.
function merged(daily, stored, isWeekly, running) {
  const all = withRunning(daily, running);
  if (all === daily) return stored;
  const found = isWeekly ? weekly(all) : all;
  const session = found.count === stored.count ? stored.session : found.session;
  return { ...found, session, running: running.session };
}
