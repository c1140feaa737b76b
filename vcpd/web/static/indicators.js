// What is computed from bars for the chart: averages, weekly bars, the line of relative strength.
const COLUMNS = ["session", "open", "high", "low", "close", "volume"];

export function average(values, length) {
  let sum = 0;
  return values.map((value, at) => {
    sum += value ?? 0;
    if (at >= length) sum -= values[at - length] ?? 0;
    return at >= length - 1 ? sum / length : null;
  });
}

// Points of a line: where it is unknown there is none.
export function line(times, values) {
  return times.flatMap((time, at) => (Number.isFinite(values[at]) ? [{ time, value: values[at] }] : []));
}

function weekOf(session) {
  const day = new Date(`${session}T00:00:00Z`);
  day.setUTCDate(day.getUTCDate() - ((day.getUTCDay() + 6) % 7));
  return day.toISOString().slice(0, 10);
}

// The bars of each week as one, at the session that closes it.
export function weekly(bars) {
  const weeks = new Map();
  bars.session.forEach((session, at) => {
    const week = weekOf(session);
    const before = weeks.get(week);
    weeks.set(week, {
      session,
      open: before?.open ?? bars.open[at],
      high: Math.max(before?.high ?? -Infinity, bars.high[at]),
      low: Math.min(before?.low ?? Infinity, bars.low[at]),
      close: bars.close[at],
      volume: (before?.volume ?? 0) + (bars.volume[at] ?? 0),
      provisional: bars.provisional[at],
    });
  });
  const rows = [...weeks.values()];
  const columns = [...COLUMNS, "provisional"].map((name) => [name, rows.map((row) => row[name])]);
  return { symbol: bars.symbol, count: rows.length, ...Object.fromEntries(columns) };
}

// The bars with that of the running session as the last; unchanged where there is none, or where it is stored as final.
export function withRunning(bars, running) {
  const last = bars.session.at(-1);
  const isStored = last === running?.session;
  if (!running || last > running.session || (isStored && !bars.provisional[bars.count - 1])) return bars;
  const kept = isStored ? bars.count - 1 : bars.count;
  const column = (name, value) => [...bars[name].slice(0, kept), value];
  const columns = Object.fromEntries(COLUMNS.map((name) => [name, column(name, running[name])]));
  return { ...bars, ...columns, count: kept + 1, provisional: column("provisional", true) };
}

// The bar in which a day lies: the first that ends on it or after it.
export const barOf = (bars, day) => bars.session.find((session) => session >= day) ?? bars.session.at(-1);

// The close over the benchmark's, so that its last value is the close: above its past, the share did better.
export function relativeLine(bars, benchmark) {
  const closes = new Map(benchmark.session.map((session, at) => [session, benchmark.close[at]]));
  const ratios = bars.session.map((session, at) => (closes.get(session) ? bars.close[at] / closes.get(session) : null));
  const last = ratios.findLast((ratio) => ratio !== null);
  return last ? ratios.map((ratio) => (ratio === null ? null : (100 * ratio) / last)) : null;
}
