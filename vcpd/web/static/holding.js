// What the account holds of a symbol: its lots, the stops under them, and what was bought and sold before.
import { get } from "./api.js";
import { price, shortDay, whole } from "./format.js";

const FILLS_NAMED = 8;

const fill = (side, session, quantity) => ({ side, session, quantity });

// Null where none of the symbol is held. The journal is asked for only where a lot is.
export async function loadHolding(symbol, signal) {
  const report = await get("api/positions", signal);
  const lots = report.lots.filter((lot) => lot.symbol === symbol);
  if (!lots.length) return null;
  const { entries } = await get(`api/journal?symbol=${encodeURIComponent(symbol)}`, signal);
  const positions = report.positions.filter((position) => position.measures.lot.symbol === symbol);
  return holdingOf(lots, positions, entries);
}

// `fills` are purchases and sales by day, those of a day as one; a lot whose day is unknown has none. `stops` is without repeats.
export function holdingOf(lots, positions, trades) {
  const fills = [
    ...[...lots, ...trades].filter((part) => part.opened !== null).map((part) => fill("bought", part.opened, part.quantity)),
    ...trades.map((trade) => fill("sold", trade.closed, trade.quantity)),
  ];
  const stops = [...new Set(positions.map((position) => position.stop).filter((stop) => stop !== null))];
  return { shares: lots.reduce((sum, lot) => sum + lot.quantity, 0), fills: added(fills, (part) => part.session), stops };
}

// Adds up the shares of each side and time, in the order of time.
export function added(fills, timeOf) {
  const sums = new Map();
  for (const part of fills) {
    const key = `${timeOf(part)} ${part.side}`;
    sums.set(key, fill(part.side, timeOf(part), (sums.get(key)?.quantity ?? 0) + part.quantity));
  }
  return [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, sum]) => sum);
}

const fillInWords = ({ side, session, quantity }) => `${side} ${whole(quantity)} on ${shortDay(session)}`;

export function holdingInWords({ shares, stops }) {
  return `${whole(shares)} held, ${stops.length ? `your stop ${stops.map(price).join(" and ")}` : "no stop of yours under the price"}`;
}

export const fillsInWords = ({ fills }) => fills.slice(-FILLS_NAMED).map(fillInWords).join(", ");
