// The page's address names the view, the symbol and what the list shows, so that a link reproduces all of it.
export const VIEWS = { setups: "Setups", market: "Market", scans: "Scans", watchlists: "Watch lists", positions: "Positions", jobs: "Jobs", health: "Health" };

let listQuery = "";

export function read() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  const view = name in VIEWS ? name : "setups";
  return { view, symbol: rest.length ? decoded(rest.join("/")) : undefined, query: new URLSearchParams(query) };
}

// An address that someone cut or typed is read as it stands; the daemon then says what it expects.
function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

export const address = (symbol) => `#/setups/${encodeURIComponent(symbol)}${listQuery}`;
export const listAddress = () => `#/setups/${listQuery}`;

// Keeps what the list shows in the address, without a step in the browser's history.
export function keepList(query) {
  listQuery = query.size ? `?${query}` : "";
  document.querySelector('nav [data-view="setups"]').href = `#/setups${listQuery}`;
  const { view, symbol } = read();
  if (view !== "setups") return;
  const path = location.hash.startsWith("#/setups") ? location.hash.split("?")[0] : "#/setups";
  const next = `${symbol === undefined ? path : `#/setups/${encodeURIComponent(symbol)}`}${listQuery}`;
  if (next !== location.hash && !(next === "#/setups" && location.hash === "")) history.replaceState(null, "", next);
}

export function entitle(view, symbol) {
  document.getElementById("page-title").textContent = VIEWS[view];
  document.title = [symbol?.slice(symbol.indexOf(":") + 1), VIEWS[view], "vcpd"].filter(Boolean).join(" · ");
}
