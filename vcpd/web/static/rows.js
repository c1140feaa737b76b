// Draws of a long table only the rows in sight, so that thousands of rows scroll without a stutter.
import { h, keepFocus } from "./dom.js";

const FIRST_ROWS = 60;
const ROWS_AROUND = 25;

export function drawRows(frame, body, items, rowOf) {
  let height = 0;
  let [from, until] = [0, 0];

  // The rows between the frame's (or the window's) upper and lower edge.
  function inSight() {
    const top = body.getBoundingClientRect().top;
    const { top: upper, bottom: lower } = frame.getBoundingClientRect();
    return [Math.floor((Math.max(0, upper) - top) / height), Math.ceil((Math.min(innerHeight, lower) - top) / height)];
  }

  function draw(first, last) {
    [from, until] = [Math.max(0, first), Math.min(items.length, Math.max(last, first))];
    const rows = items.slice(from, until).map((item, at) => rowOf(item, from + at));
    keepFocus(body, () => body.replaceChildren(...[space(from), ...rows, space(items.length - until)].filter(Boolean)));
  }

  function space(rows) {
    if (rows <= 0) return null;
    const row = h("tr", { class: "space", "aria-hidden": "true" }, h("td", { colspan: 99 }));
    row.firstChild.style.height = `${rows * height}px`;
    return row;
  }

  function follow() {
    if (!body.isConnected || height === 0) return;
    const [first, last] = inSight();
    const covered = (first >= from || from === 0) && (last <= until || until === items.length);
    if (!covered) draw(first - ROWS_AROUND, last + ROWS_AROUND);
  }

  function reveal(index) {
    const top = body.getBoundingClientRect().top + index * height;
    const area = frame.getBoundingClientRect();
    const scroller = frame.scrollHeight > frame.clientHeight ? frame : document.scrollingElement;
    const [upper, lower] = [Math.max(0, area.top) + 2 * height, Math.min(innerHeight, area.bottom) - 2 * height];
    if (top < upper) scroller.scrollTop += top - upper;
    else if (top > lower) scroller.scrollTop += top - lower;
    follow();
  }

  draw(0, FIRST_ROWS);
  height = body.rows[0]?.getBoundingClientRect().height ?? 0;
  if (until < items.length) body.append(space(items.length - until));
  const leaving = new AbortController();
  for (const target of [frame, window]) target.addEventListener("scroll", follow, { passive: true, signal: leaving.signal });
  return { follow, reveal, stop: () => leaving.abort() };
}
