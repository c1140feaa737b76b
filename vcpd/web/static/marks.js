// Stars, notes and the setups that were looked at, which the daemon keeps; this browser keeps the latter without a login.
import { get, put, putQuietly } from "./api.js";
import { mayChange } from "./login.js";

const SEEN_KEY = "vcpd.seen";
let marks = new Map();
let seen = storedSeen();
const listeners = [];

export const onChange = (listener) => { listeners.push(listener); };
export const isStarred = (symbol) => marks.get(symbol)?.starred ?? false;
export const noteOf = (symbol) => marks.get(symbol)?.note ?? "";
export const isSeen = (symbol, session) => Boolean(session) && (isSeenHere(symbol, session) || (marks.get(symbol)?.seen ?? "") >= session);

const isSeenHere = (symbol, session) => seen.session === session && seen.symbols.includes(symbol);

function changed() {
  for (const listener of listeners) listener();
}

export async function load() {
  const found = await get("api/marks").catch(() => null);
  if (found) marks = new Map(found.items.map((mark) => [mark.symbol, mark]));
  changed();
}

export async function change(symbol, what) {
  marks.set(symbol, await put(`api/marks/${encodeURIComponent(symbol)}`, what));
  changed();
}

function storedSeen() {
  const nothing = { session: null, symbols: [] };
  try { return JSON.parse(localStorage.getItem(SEEN_KEY)) ?? nothing; } catch { return nothing; }
}

// A new session begins with nothing seen.
export function see(symbol, session) {
  if (!session || isSeen(symbol, session)) return;
  seen = { session, symbols: seen.session === session ? [...seen.symbols, symbol] : [symbol] };
  try { localStorage.setItem(SEEN_KEY, JSON.stringify(seen)); } catch { /* a browser without storage forgets */ }
  changed();
  if (mayChange()) keepSeen(symbol, session);
}

async function keepSeen(symbol, session) {
  const kept = await putQuietly(`api/marks/${encodeURIComponent(symbol)}`, { seen: session }).catch(() => null);
  if (kept) marks.set(symbol, { symbol, starred: false, note: "", ...marks.get(symbol), seen: kept.seen });
}
