// Formats numbers, amounts and times as the exchange writes them. The daemon generates exchange.js.
import { exchange } from "./exchange.js";

const LOCALE = exchange.currency.locale;
const prices = new Intl.NumberFormat(LOCALE, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const wholes = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 });
const rounded = new Intl.NumberFormat(LOCALE, { maximumSignificantDigits: 4, maximumFractionDigits: 1 });
const DAY = { day: "numeric", month: "short" };
const MINUTE = { weekday: "short", ...DAY, hour: "2-digit", minute: "2-digit" };
const dates = (parts, timeZone) => new Intl.DateTimeFormat("en-GB", { ...parts, timeZone });
const days = dates({ weekday: "short", ...DAY, year: "numeric" }, "UTC");
const shortDays = dates(DAY, "UTC");
const clock = dates(MINUTE, exchange.time_zone);
const NOTHING = "–";
const known = (value) => value !== null && value !== undefined && !Number.isNaN(value);

export const price = (value) => (known(value) ? prices.format(value) : NOTHING);
export const whole = (value) => (known(value) ? wholes.format(value) : NOTHING);
export const inR = (value) => (known(value) ? `${value > 0 ? "+" : ""}${value.toFixed(2)}` : NOTHING);
export const number = (value, digits = 1) => (known(value) ? value.toFixed(digits) : NOTHING);
export const percent = (value, digits = 1) => (known(value) ? `${value.toFixed(digits)}\u00a0%` : NOTHING);
export const signed = (value, digits = 1) => (value > 0 ? "+" : "") + percent(value, digits);
export const day = (text) => (text ? days.format(new Date(`${text}T00:00:00Z`)) : NOTHING);
export const shortDay = (text) => (text ? shortDays.format(new Date(`${text}T00:00:00Z`)) : NOTHING);
export const instant = (text) => (text ? `${clock.format(new Date(text))} ${exchange.zone_name}` : NOTHING);
export const currencySign = exchange.currency.sign;
export const money = (value) => (known(value) ? `${currencySign} ${wholes.format(value)}` : NOTHING);
export const fullSymbol = (name) => (name.includes(":") ? name : `${exchange.symbol_prefix}${name}`);
export const words = (name) => name.replaceAll("_", " ").toLowerCase();
export const bare = (symbol) => symbol.slice(symbol.indexOf(":") + 1);

export function duration(seconds) {
  if (!known(seconds)) return "";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 90) return `${seconds.toFixed(1)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

// In the largest unit that fits: 12,34,56,789 rupees are 12.3 crore; the units are the currency's.
function inUnits(value) {
  const unit = exchange.currency.units.find((step) => Math.abs(value) >= step.size);
  return unit ? `${rounded.format(value / unit.size)} ${unit.name}` : wholes.format(value);
}

export const largeMoney = (value) => (known(value) ? `${currencySign} ${inUnits(value)}` : NOTHING);
export const count = (value) => (known(value) ? inUnits(value) : NOTHING);

const smallestUnit = exchange.currency.units.at(-1);
export const amountExample = smallestUnit ? `10${smallestUnit.name.slice(0, 1).toUpperCase()}` : "50k";

// What a user writes for an amount: `10L`, `1.5 crore`, `50k`, `1,000,000`, `10,00,000`. NaN where it is none.
export function amount(text) {
  const found = /^([\d.,\s]*\d)\s*([a-z]*)\.?$/i.exec(text.replace(currencySign, "").trim());
  if (!found) return NaN;
  const digits = found[1].replace(/[,\s]/g, "");
  const factor = found[2] === "" ? 1 : suffixes()[found[2].toLowerCase()];
  return /^\d*\.?\d+$/.test(digits) && factor ? Number(digits) * factor : NaN;
}

// Each unit of the currency by its name, its plural and its first letters: lakh, lakhs, l; crore, crores, c, cr.
function suffixes() {
  const spellings = (name) => [name, `${name}s`, name.slice(0, 1), name.slice(0, 2)];
  const named = exchange.currency.units.flatMap(({ name, size }) => spellings(name).map((text) => [text, size]));
  return { k: 1e3, m: 1e6, ...Object.fromEntries(named) };
}

// The letter of each event on the chart.
export const MARKED = {
  found: "F", new_chapter: "C", new_contraction: "c", left: "L", readmitted: "A", under_stop: "U", stop_reclaimed: "u",
  near_pivot: "N", breakout: "B", breakout_unconfirmed: "b", extended: "E", squat: "S", reclaimed: "R",
  failed: "✗", expired: "–",
};
