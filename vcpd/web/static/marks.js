// Stars and notes, which the daemon keeps; and the symbols that this browser has looked at after a session.
import { get, put } from "./api.js";

const SEEN_KEY = "vcpd.seen";
let marks = new Map();
let seen = storedSeen();
const listeners = [];

export const onChange = (listener) => { listeners.push(listener); };
export const isStarred = (symbol) => marks.get(symbol)?.starred ?? false;
export const noteOf = (symbol) => marks.get(symbol)?.note ?? "";
export const isSeen = (symbol, session) => seen.session === session && seen.symbols.includes(symbol);

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
}
