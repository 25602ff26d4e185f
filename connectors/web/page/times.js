// Times of records: ns since 1970 UTC, as decimal strings, since a number would lose digits.

const NS_OF_MS = 1_000_000n;
const UNIT_MS = { ns: 1e-6, us: 1e-3, ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86400e3 };

/** Return whole milliseconds since 1970, which a number holds exactly. */
export function toMs(ns) {
  const text = String(ns);
  return text.length > 6 ? Number(text.slice(0, -6)) : Number(BigInt(text) / NS_OF_MS);
}

/** Return -1, 0 or 1 as `a` is before, at or after `b`; every digit counts. */
export function compareNs(a, b) {
  const [x, y] = [String(a), String(b)];
  if (x.length !== y.length) return x.length < y.length ? -1 : 1; // no time has leading zeros
  return x < y ? -1 : x > y ? 1 : 0;
}

/** Return the time of day in UTC, such as 14:30:05.123 or, without ms, 14:30:05. */
export function clock(ms, { millis = false } = {}) {
  return new Date(ms).toISOString().slice(11, millis ? 23 : 19);
}

/** Return the date in UTC, such as 2026-11-30. */
export function date(ms) {
  return new Date(ms).toISOString().slice(0, 10);
}

/** Return the time in UTC, with its date where that is not the date of `nowMs`. */
export function moment(ms, nowMs, options) {
  return date(ms) === date(nowMs) ? clock(ms, options) : `${date(ms)} ${clock(ms, options)}`;
}

/** Return date and time in UTC, for titles. */
export function dateTime(ms) {
  return `${new Date(ms).toISOString().replace("T", " ").replace("Z", "")} UTC`;
}

/** Return the time of day where the browser is, with the name of its zone. */
export function localClock(ms) {
  const parts = { hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short" };
  return new Date(ms).toLocaleTimeString("en-GB", parts);
}

/** Return the time of day where the browser is, with the date where that is not the date of `nowMs` there. */
export function here(ms, nowMs) {
  const [then, now] = [new Date(ms), new Date(nowMs)];
  const clock = then.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  if (then.toDateString() === now.toDateString()) return clock;
  return `${then.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${clock}`;
}

/** Return the length in ms of an interval such as 1s or 5m; null where it has none ("session"). */
export function intervalMs(text) {
  const found = /^(\d+)(ns|us|ms|s|m|h|d)$/.exec(text);
  return found ? Number(found[1]) * UNIT_MS[found[2]] : null;
}

/** Return a span in words of one unit: 4 s, 12 min, 3 h, 5 d. */
export function span(ms) {
  const s = Math.max(0, ms) / 1000;
  if (s < 120) return `${Math.floor(s)} s`;
  if (s < 7200) return `${Math.floor(s / 60)} min`;
  if (s < 172_800) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86_400)} d`;
}

/** Return how old a figure is: 4 s; from two minutes on its time, with its date where not today's. */
export function age(ms, nowMs) {
  return nowMs - ms < 120_000 ? span(nowMs - ms) : moment(ms, nowMs);
}
