// Small pictures of series: their frame, level lines, and lines that break where a value is unknown.
import { s } from "./dom.js";

export const WIDTH = 600;
export const HEIGHT = 150;

export function frame(label, ...marks) {
  const attributes = { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" };
  return s("svg", { ...attributes, role: "img", "aria-label": label }, ...marks);
}

export const level = (y) => s("line", { class: "grid", x1: 0, x2: WIDTH, y1: y, y2: y });

// The path through `values`; `across` gives the place of an index, `height` that of a value.
export function path(values, across, height) {
  let pen = "M";
  return values.map((value, at) => {
    if (value === null) {
      pen = "M";
      return "";
    }
    const point = `${pen}${across(at).toFixed(1)} ${height(value).toFixed(1)}`;
    pen = "L";
    return point;
  }).join("");
}

// From the left edge to the right one.
export const spread = (count) => (at) => (at * WIDTH) / Math.max(1, count - 1);

// The height of a value between the least and the most, which lie at the lower and the upper edge.
export function between(least, most) {
  const range = Math.max(most - least, 1e-9);
  return (value) => HEIGHT - ((value - least) / range) * HEIGHT;
}
