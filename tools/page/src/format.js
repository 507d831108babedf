// Sizes, times and counts as the text report writes them (tools/render/units.c): the same figure
// has the same digits in both.

// As C's printf rounds: to the nearest, and halves to the even digit.
function round(value, digits) {
  const scale = 10 ** digits;
  const scaled = value * scale;
  const below = Math.floor(scaled);
  const rest = scaled - below;
  const up = rest > 0.5 || (rest === 0.5 && below % 2 === 1);
  return ((below + (up ? 1 : 0)) / scale).toFixed(digits);
}

function three(value, unit) {
  const digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  let text = round(value, digits);
  if (text.includes(".")) text = text.replace(/0+$/, "").replace(/\.$/, "");
  return `${text} ${unit}`;
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

export function bytes(value) {
  if (value === null || value === undefined) return "not known";
  if (value < 0) return `-${bytes(-value)}`;
  let unit = 0;
  while (value >= 1023.5 && unit + 1 < UNITS.length) {
    value /= 1024;
    unit++;
  }
  return three(value, UNITS[unit]);
}

// A difference: with its sign, also where it grows.
export function change(value) {
  return value > 0 ? `+${bytes(value)}` : bytes(value);
}

const pad = (value) => String(value).padStart(2, "0");

export function duration(ns) {
  if (ns === null || ns === undefined) return "not known";
  const seconds = Math.floor((ns + 5e8) / 1e9);
  if (ns < 1e3) return `${ns} ns`;
  if (ns < 1e6) return three(ns / 1e3, "µs");
  if (ns < 1e9) return three(ns / 1e6, "ms");
  if (seconds < 60) return three(ns / 1e9, "s");
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${pad(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${pad(Math.floor((seconds % 3600) / 60))} min`;
}

export function count(value) {
  if (value === null || value === undefined) return "not known";
  const text = String(value);
  return text.length > 16 ? text : text.replace(/\B(?=(\d{3})+$)/g, ",");
}

export function ratio(part, whole) {
  if (!whole) return "-";
  if (part > 0 && part < Math.floor(whole / 200)) return "<1 %";
  return `${round((100 * part) / whole, 0)} %`;
}

// A moment of the day, as the text report's first paragraph has it.
export function clock(unixNs) {
  if (!unixNs) return "";
  return new Date(unixNs / 1e6).toISOString().replace("T", " ").slice(0, 19) + " UTC";
}

export function plural(n, one, many) {
  return `${count(n)} ${n === 1 ? one : many}`;
}
