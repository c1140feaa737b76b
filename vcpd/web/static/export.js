// Exports rows of the list: as CSV, as a TradingView watch list, or to the clipboard.
import { h } from "./dom.js";
import { noteOf } from "./marks.js";

const FIELDS = [
  "symbol", "group", "state", "score", "rating", "footprint", "close", "change_pct", "pivot", "to_pivot_pct", "stop", "risk_pct",
  "sector", "sector_rank", "band", "adr_pct", "turnover", "delivery_pct", "sessions_in_group",
];

// A cell that a spreadsheet would read as a formula begins with an apostrophe.
function cell(value) {
  const text = String(value ?? "");
  const plain = /^[=@\t\r]|^[+-](?![\d.]+$)/.test(text) ? `'${text}` : text;
  return /[",\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

export function asCsv(rows) {
  const lines = rows.map((row) => [...FIELDS.map((field) => row[field]), noteOf(row.symbol)].map(cell).join(","));
  return [[...FIELDS, "note"].join(","), ...lines, ""].join("\r\n");
}

// TradingView writes NSE:M_M for NSE:M&M and NSE:BAJAJ_AUTO for NSE:BAJAJ-AUTO.
export const tradingViewName = (symbol) => symbol.replace(/[&-]/g, "_");
export const asTradingView = (rows) => rows.map((row) => tradingViewName(row.symbol)).join(",");

export function download(name, content, type) {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = h("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export async function copy(rows) {
  await navigator.clipboard.writeText(rows.map((row) => row.symbol).join("\n"));
}
