// The chart with its tools: weekly bars, logarithmic scale, measure, picture, and the bar under the crosshair in figures.
import { drawChart } from "./chart.js";
import { askForLevel } from "./chart_level.js";
import { chartInWords, distanceInWords, figures } from "./chart_words.js";
import { LineSeries } from "./vendor/lightweight-charts-5.2.1/lightweight-charts.standalone.production.js";
import { byId, h } from "./dom.js";
import { download } from "./export.js";
import { bare } from "./format.js";

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
  let asking = null; // for a price level
  const readout = h("span", { class: "readout" });
  const frame = h("div", { class: "chart", role: "img", "aria-label": chartInWords(shown) });

  function draw(keep) {
    asking?.leave("");
    drawn?.remove();
    drawn = drawChart(frame, shown, choice, keep);
    drawn.chart.subscribeCrosshairMove((at) => { pointed = at.time; readOut(); });
    drawn.chart.subscribeClick((at) => { asking?.take(at); measuring?.(at); });
    pointed = undefined;
    showQuote();
  }

  function readOut() {
    if (!measuring && !asking) readout.replaceChildren(...figures(drawn.bars(), pointed));
  }

  function showQuote() {
    drawn.quote(quoted.price, quoted.running);
    frame.setAttribute("aria-label", chartInWords(shown, drawn.bars()));
    readOut();
  }

  function change(button, key) {
    choice = { ...choice, [key]: !choice[key] };
    storeChoice(choice);
    button.setAttribute("aria-pressed", String(choice[key]));
    draw(key === "weekly" ? null : drawn.range());
  }

  function toggleLevel(button) {
    if (asking) { asking.leave(""); return; }
    if (measuring) byId("chart-measure").click();
    button.setAttribute("aria-pressed", "true");
    asking = askForLevel(drawn, readout, shown.bars.symbol, (text) => {
      asking = null;
      button.setAttribute("aria-pressed", "false");
      if (!text) readOut();
    });
  }

  function toggleMeasure(button) {
    asking?.leave("");
    measuring = measuring ? null : measure(drawn, readout);
    button.setAttribute("aria-pressed", String(measuring !== null));
  }

  const toggle = (key, name, title) => tool(`chart-${key}`, name, title, (button) => change(button, key), choice[key]);
  place.replaceChildren(
    h("div", { class: "chart-tools", role: "group", "aria-label": "Chart" },
      readout,
      toggle("weekly", "Weekly", "Weekly bars (w)"),
      toggle("log", "Log", "Logarithmic scale (l)"),
      tool("chart-measure", "Measure", "Measure from one click to the next", toggleMeasure, false),
      tool("chart-level", "Level", "Set a price level: click a price on the chart, or write it (p)", toggleLevel, false),
      tool("chart-image", "Picture", "Download the chart as a picture, without what you hold", () => { asking?.leave(""); savePicture(drawn, shown); })),
    frame);
  draw(range);
  return {
    range: () => drawn.range(),
    remove: () => drawn.remove(),
    quote: (price, running) => { quoted = { price, running }; showQuote(); },
  };
}

// A button; one with a state says whether it is pressed.
function tool(id, name, title, act, isPressed) {
  const pressed = isPressed === undefined ? null : String(isPressed);
  return h("button", { type: "button", id, title, "aria-pressed": pressed, onclick: (event) => act(event.currentTarget) }, name);
}

function savePicture(drawn, { bars, setup }) {
  drawn.picture().toBlob((blob) => download(`${bare(bars.symbol)}-${setup.as_of}.png`, blob));
}

// What to do with each click: the first begins a line, the second ends it and says how far it is.
function measure(drawn, readout) {
  const style = { lineWidth: 2, lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false };
  let first = null;
  let line = null;
  readout.textContent = "Click where to measure from.";
  return (at) => {
    const point = { time: at.time, value: drawn.candles.coordinateToPrice(at.point?.y ?? 0) };
    if (!point.time || point.value === null) return;
    if (first === null || first.time === point.time) {
      first = point;
      readout.textContent = "Click where to measure to.";
      return;
    }
    line ??= drawn.chart.addSeries(LineSeries, style);
    line.setData([first, point].sort((a, b) => (a.time < b.time ? -1 : 1)));
    readout.textContent = distanceInWords(first, point, drawn.bars());
    first = null;
  };
}
