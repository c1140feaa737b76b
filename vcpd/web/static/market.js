// The regime, market breadth over a year, new highs and lows, and bases by state.
import { get } from "./api.js";
import { byId, h, notice, s, skeleton, errorNotice, update } from "./dom.js";
import { bare, day, percent, whole, words } from "./format.js";
import { REGIME_SESSIONS, regimeCards, sectorCards } from "./regime.js";
import { address } from "./address.js";

const WIDTH = 600;
const HEIGHT = 150;
const STATES = ["FORMING", "NEAR_PIVOT", "UNDER_STOP", "BREAKOUT", "EXTENDED", "SQUAT", "FAILED", "EXPIRED"];
let shownVersion;
let lastRequest = 0;

export async function show(version, asOf) {
  const view = byId("view-market");
  if (version === null) {
    if (!view.childElementCount) update(view, "loading", () => skeleton(6));
  } else if (asOf === undefined) {
    update(view, "no bars", () => notice("No breadth yet", "Breadth is shown as soon as there are bars."));
  } else if (shownVersion !== version) {
    shownVersion = version;
    if (!view.childElementCount) update(view, "loading", () => skeleton(6));
    await load(view, () => show(version, asOf));
  }
}

// Of answers that overlap only the one to the last request is drawn.
async function load(view, again) {
  const request = ++lastRequest;
  try {
    const [market, crowding, regime, sectors, industries] = await Promise.all([
      get("api/breadth"), get("api/crowding").catch(() => null), get(`api/regime?sessions=${REGIME_SESSIONS}`),
      get("api/sectors"), get("api/sectors?level=industry"),
    ]);
    if (request === lastRequest) update(view, { market, crowding, regime, sectors, industries }, draw);
  } catch (error) {
    if (request !== lastRequest) return;
    shownVersion = undefined;
    update(view, { failed: error.message }, () => (error.status === 503 ? notice("No breadth yet", error.message) : errorNotice(error, again)));
  }
}

const draw = ({ market, crowding, regime, sectors, industries }) => h("div", { class: "page" }, h("div", { class: "cards" },
  regimeCards(regime.items), averages(market), extremes(market), states(market), sectorCards(sectors, industries), bets(crowding)));

function bets(crowding) {
  if (!crowding) return null;
  const count = crowding.clusters.reduce((sum, cluster) => sum + cluster.members.length, 0);
  const alike = crowding.clusters.filter((cluster) => cluster.members.length > 1);
  const mean = (value) => (value === null ? "–" : (Math.round(100 * value) / 100 + 0).toFixed(2));
  const row = (name, group) => h("tr", {}, h("td", {}, name), h("td", {}, group.members.flatMap((symbol, at) => [at ? ", " : "", h("a", { href: address(symbol) }, bare(symbol))])), h("td", {}, mean(group.mean_correlation)));
  const rows = [...alike.map((cluster, at) => row(`Moves together ${at + 1}`, cluster)), ...crowding.sectors.map((sector) => row(sector.sector, sector))];
  return h("article", { class: "card broad" }, h("header", {}, h("h2", {}, "Setups that move together"), h("span", { class: "now" }, `${count} setups ≈ ${crowding.effective_bets.toFixed(1)} independent bets`)),
    rows.length ? h("table", { class: "small bets" }, h("thead", {}, h("tr", {}, ["group", "setups", "mean correlation"].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows))
      : h("p", { class: "muted" }, count ? "No two setups move together, and no two are of one sector." : "There are no setups to compare."));
}

function card(title, now, plot, keys, sessions) {
  return h("article", { class: "card" }, h("header", {}, h("h2", {}, title), h("span", { class: "now" }, now)), plot,
    sessions.length > 1 ? h("div", { class: "axis" }, h("span", {}, day(sessions[0])), h("span", {}, day(sessions.at(-1)))) : null,
    h("div", { class: "keys" }, keys.map(([tone, text]) => h("span", { class: tone }, text))));
}

const frame = (label, ...children) => s("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label }, ...children);
const scaled = (plot, ...marks) => h("div", { class: "scaled" }, plot, h("div", { class: "scale", "aria-hidden": "true" }, marks.map((mark) => h("span", {}, mark))));
const level = (y) => s("line", { class: "grid", x1: 0, x2: WIDTH, y1: y, y2: y });

function line(values, className) {
  let pen = "M";
  const path = values.map((value, at) => {
    if (value === null) { pen = "M"; return ""; }
    const point = `${pen}${((at * WIDTH) / Math.max(1, values.length - 1)).toFixed(1)} ${(HEIGHT - (value / 100) * HEIGHT).toFixed(1)}`;
    pen = "L";
    return point;
  });
  return s("path", { class: className, d: path.join("") });
}

function averages(market) {
  const [short, long] = [market.above_sma50_pct.at(-1), market.above_sma200_pct.at(-1)];
  const plot = frame(`Share above their average: ${percent(short)} of 50 sessions, ${percent(long)} of 200`, level(0), level(HEIGHT / 2), level(HEIGHT), line(market.above_sma200_pct, "b"), line(market.above_sma50_pct, "a"));
  return card("Above their averages", percent(short, 0), scaled(plot, "100\u00a0%", "50\u00a0%", "0\u00a0%"), [["a", `SMA50 · ${percent(short)}`], ["b", `SMA200 · ${percent(long)}`]], market.sessions);
}

function extremes(market) {
  const most = Math.max(1, ...market.new_highs, ...market.new_lows);
  const wide = WIDTH / market.sessions.length;
  const middle = HEIGHT / 2;
  const column = (count, at, name) => (count ? s("rect", { class: name, x: at * wide, width: wide * 0.8, y: name === "highs" ? middle - (count / most) * middle : middle, height: (count / most) * middle }) : null);
  const [highs, lows] = [market.new_highs.at(-1), market.new_lows.at(-1)];
  const plot = frame(`New 52-week highs ${highs}, lows ${lows}`, level(middle), market.new_highs.map((count, at) => column(count, at, "highs")), market.new_lows.map((count, at) => column(count, at, "lows")));
  return card("New 52-week highs and lows", `${highs} : ${lows}`, scaled(plot, whole(most), "0", whole(most)), [["highs", `highs · ${whole(highs)}`], ["lows", `lows · ${whole(lows)}`], ["", `${whole(market.symbols.at(-1))} symbols counted`]].slice(0, 2), market.sessions);
}

function states(market) {
  const sessions = Object.keys(market.states).sort();
  const totals = sessions.map((session) => Object.values(market.states[session]).reduce((sum, count) => sum + count, 0));
  const most = Math.max(1, ...totals);
  const wide = WIDTH / Math.max(sessions.length, 20);
  const columns = sessions.flatMap((session, at) => {
    let top = HEIGHT;
    return STATES.filter((state) => market.states[session][state]).map((state) => {
      const tall = (market.states[session][state] / most) * HEIGHT;
      top -= tall;
      return s("rect", { class: `s-${state}`, x: at * wide, width: wide * 0.85, y: top, height: tall });
    });
  });
  const latest = market.states[sessions.at(-1)] ?? {};
  const keys = STATES.filter((state) => latest[state]).map((state) => [state, `${words(state)} · ${latest[state]}`]);
  const plot = sessions.length ? frame("Bases by state, session by session", level(HEIGHT), columns) : h("p", { class: "muted" }, "No session has been screened yet.");
  const made = card("Bases by state", whole(totals.at(-1)), plot, keys, sessions);
  if (sessions.length && sessions.length < 10) made.append(h("p", { class: "muted" }, "One column for each session since the first screen."));
  return made;
}
