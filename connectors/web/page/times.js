// Times of records: ns since 1970 UTC, as decimal strings, since a number would lose digits.

const NS_OF_MS = 1_000_000n;
const UNIT_MS = { ns: 1e-6, us: 1e-3, ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86400e3 };

/** Return whole milliseconds since 1970, which a number holds exactly. */
export function toMs(ns) {
  return Number(BigInt(ns) / NS_OF_MS);
}

/** Return -1, 0 or 1 as `a` is before, at or after `b`; every digit counts. */
export function compareNs(a, b) {
  const [x, y] = [BigInt(a), BigInt(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}

/** Return the time of day in UTC, such as 14:30:05.123 or, without ms, 14:30:05. */
export function clock(ms, { millis = false } = {}) {
  return new Date(ms).toISOString().slice(11, millis ? 23 : 19);
}

/** Return date and time in UTC, for titles. */
export function dateTime(ms) {
  return `${new Date(ms).toISOString().replace("T", " ").replace("Z", "")} UTC`;
}

/** Return the length in ms of an interval such as 1s or 5m; null where it has none ("session"). */
export function intervalMs(text) {
  const found = /^(\d+)(ns|us|ms|s|m|h|d)$/.exec(text);
  return found ? Number(found[1]) * UNIT_MS[found[2]] : null;
}

/** Return a span in words of one unit: 4 s, 12 min, 3 h. */
export function span(ms) {
  const s = Math.max(0, ms) / 1000;
  if (s < 120) return `${Math.floor(s)} s`;
  if (s < 7200) return `${Math.floor(s / 60)} min`;
  return `${Math.floor(s / 3600)} h`;
}
