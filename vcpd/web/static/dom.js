// Builds elements without HTML strings, so that no text from the market is read as markup.
const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter(isDrawn));
  return node;
}

export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
export const byId = (id) => document.getElementById(id);

const isDrawn = (child) => child !== null && child !== undefined && child !== false;
const drawnFrom = new WeakMap();

// Fills `place` again only when `data` changed: otherwise focus, scroll position and open parts stay.
export function update(place, data, make) {
  const text = JSON.stringify(data);
  if (drawnFrom.get(place) === text) return;
  drawnFrom.set(place, text);
  keepFocus(place, () => place.replaceChildren(...[make(data)].flat(Infinity).filter(isDrawn)));
}

// Draws in `place` again; the control that had the focus has it afterwards, where it is still there.
export function keepFocus(place, draw) {
  const restore = rememberFocus(place);
  draw();
  restore();
}

export function rememberFocus(place) {
  const focused = document.activeElement;
  const selector = focused !== place && place.contains(focused) ? selectorOf(focused) : null;
  return () => {
    const isLost = selector && !focused.isConnected && document.activeElement === document.body;
    if (isLost) place.querySelector(selector)?.focus({ preventScroll: true });
  };
}

// What names a control among its neighbours, whatever else about it changes.
function selectorOf(control) {
  const isName = ({ name }) => ["id", "name", "href", "aria-label"].includes(name) || name.startsWith("data-");
  const names = [...control.attributes].filter(isName);
  return control.localName + names.map(({ name, value }) => `[${name}="${CSS.escape(value)}"]`).join("");
}

export function meter(share) {
  return s("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    s("rect", { width: Math.max(0, Math.min(100, share)), height: 6 }));
}

export function notice(title, text, ...actions) {
  return h("div", { class: "notice" }, title ? h("h2", {}, title) : null, text ? h("p", {}, text) : null, ...actions);
}

export function errorNotice(error, again) {
  return notice("This request failed", error.message, h("button", { type: "button", onclick: again }, "Try again"));
}

export function skeleton(lines) {
  return h("div", { class: "page", "aria-busy": "true", "aria-label": "loading" },
    Array.from({ length: lines }, () => h("span", { class: "skeleton" })));
}
