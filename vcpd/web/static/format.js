// Formats numbers, amounts and times as the exchange writes them. The daemon generates exchange.js.
import { exchange } from "./exchange.js";

const LOCALE = exchange.currency.locale;
const prices = new Intl.NumberFormat(LOCALE, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const wholes = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 });
const days = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
const shortDays = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const clock = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: exchange.time_zone });
const NOTHING = "–";
const known = (value) => value !== null && value !== undefined && !Number.isNaN(value);

export const price = (value) => (known(value) ? prices.format(value) : NOTHING);
export const whole = (value) => (known(value) ? wholes.format(value) : NOTHING);
export const number = (value, digits = 1) => (known(value) ? value.toFixed(digits) : NOTHING);
export const percent = (value, digits = 1) => (known(value) ? `${value.toFixed(digits)}\u00a0%` : NOTHING);
export const signed = (value, digits = 1) => (known(value) ? `${value > 0 ? "+" : ""}${value.toFixed(digits)}\u00a0%` : NOTHING);
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

// An amount in its currency's smallest large unit: 12,34,56,789 rupees are 1,235 lakh.
export function largeMoney(value) {
  const unit = exchange.currency.units.at(-1);
  return unit ? `${money(value / unit.size)} ${unit.name}` : money(value);
}

// The letter of each event on the chart.
export const MARKED = { found: "F", near_pivot: "N", breakout: "B", breakout_unconfirmed: "b", extended: "E", squat: "S", reclaimed: "R", failed: "✗", expired: "–" };
