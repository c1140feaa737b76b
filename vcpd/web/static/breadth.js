// Market breadth over a year: shares above their averages, new highs and lows, bases by state.
import { axis, card, keys, muted, titled } from "./cards.js";
import { h, s } from "./dom.js";
import { day, percent, whole, words } from "./format.js";
import { STATES } from "./list_state.js";
import { HEIGHT, WIDTH, between, frame, level, path, spread } from "./plots.js";

const LEAST_COLUMNS = 20;
const FEW_SESSIONS = 10;
const MIDDLE = HEIGHT / 2;

export const breadthCards = (market) => [averages(market), extremes(market), states(market)];

function breadthCard(title, now, plot, pairs, sessions) {
  const days = sessions.length > 1 ? axis(day(sessions[0]), day(sessions.at(-1))) : null;
  return card("", titled(title, now), plot, days, keys(pairs));
}

// A picture with the values of its upper edge, middle and lower edge beside it.
function scaled(plot, ...marks) {
  const scale = h("div", { class: "scale", "aria-hidden": "true" }, marks.map((mark) => h("span", {}, mark)));
  return h("div", { class: "scaled" }, plot, scale);
}

function averages({ above_sma50_pct: above50, above_sma200_pct: above200, sessions }) {
  const [short, long] = [above50.at(-1), above200.at(-1)];
  const line = (values, tone) => s("path", { class: tone, d: path(values, spread(values.length), between(0, 100)) });
  const label = `Share above their average: ${percent(short)} of 50 sessions, ${percent(long)} of 200`;
  const plot = frame(label, [0, MIDDLE, HEIGHT].map(level), line(above200, "b"), line(above50, "a"));
  const pairs = [["a", `SMA50 · ${percent(short)}`], ["b", `SMA200 · ${percent(long)}`]];
  const picture = scaled(plot, ...[100, 50, 0].map((share) => percent(share, 0)));
  return breadthCard("Above their averages", percent(short, 0), picture, pairs, sessions);
}

// Highs grow upwards from the middle, lows downwards.
function extremes(market) {
  const most = Math.max(1, ...market.new_highs, ...market.new_lows);
  const wide = WIDTH / market.sessions.length;
  const column = (tone) => (count, at) => {
    const tall = (count / most) * MIDDLE;
    const y = tone === "highs" ? MIDDLE - tall : MIDDLE;
    return count ? s("rect", { class: tone, x: at * wide, width: wide * 0.8, y, height: tall }) : null;
  };
  const [highs, lows] = [market.new_highs.at(-1), market.new_lows.at(-1)];
  const columns = [market.new_highs.map(column("highs")), market.new_lows.map(column("lows"))];
  const plot = frame(`New 52-week highs ${highs}, lows ${lows}`, level(MIDDLE), ...columns);
  const pairs = [["highs", `highs · ${whole(highs)}`], ["lows", `lows · ${whole(lows)}`]];
  const picture = scaled(plot, whole(most), "0", whole(most));
  return breadthCard("New 52-week highs and lows", `${highs} : ${lows}`, picture, pairs, market.sessions);
}

function states(market) {
  const sessions = Object.keys(market.states).sort();
  const totals = sessions.map((session) => total(market.states[session]));
  const latest = market.states[sessions.at(-1)] ?? {};
  const pairs = STATES.filter((state) => latest[state]).map((state) => [state, `${words(state)} · ${latest[state]}`]);
  const plot = () => frame("Bases by state, session by session", level(HEIGHT), stacks(market.states, sessions, Math.max(1, ...totals)));
  const picture = sessions.length ? plot() : muted("No session has been screened yet.");
  const made = breadthCard("Bases by state", whole(totals.at(-1)), picture, pairs, sessions);
  const isNew = sessions.length && sessions.length < FEW_SESSIONS;
  if (isNew) made.append(muted("One column for each session since the first screen."));
  return made;
}

const total = (counts) => Object.values(counts).reduce((sum, count) => sum + count, 0);

// Of each session one column, its states on one another.
function stacks(counted, sessions, most) {
  const wide = WIDTH / Math.max(sessions.length, LEAST_COLUMNS);
  return sessions.flatMap((session, at) => {
    let top = HEIGHT;
    return STATES.filter((state) => counted[session][state]).map((state) => {
      const tall = (counted[session][state] / most) * HEIGHT;
      top -= tall;
      return s("rect", { class: `s-${state}`, x: at * wide, width: wide * 0.85, y: top, height: tall });
    });
  });
}
