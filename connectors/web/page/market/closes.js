// What the change of a day is counted from, for all symbols of the watchlist: asked of history, a little at a time.

import { Again } from "../again.js";
import { intervalMs } from "../times.js";
import { backwards } from "./backwards.js";
import { isTraded } from "./bars.js";

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const WEEK_MS = 7 * DAY_MS;
const LIMIT = 5000;
const CORRECTED = 10_000;
const SYMBOLS = 100; // in one request
const REQUESTS = 120; // in one attempt
const PAUSE_MS = 250;
const GATHERED_MS = 1000;

/** Return the interval to ask for: few records, of which none reaches far over midnight. */
function askedFor(intervals) {
  return intervals.findLast((each) => intervalMs(each) <= HOUR_MS) ?? intervals[0];
}

/**
 * Tells the watch the first bar of its day of each symbol and, once history has what the page began with, the last one
 * before the day, where there is one within a week.
 */
export class Closes {
  constructor(api, watch, market) {
    Object.assign(this, { api, watch, market, again: null });
    watch.addEventListener("forgotten", () => { // of many symbols at once, it may be
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.read(), GATHERED_MS);
    });
  }

  /** Read from now on. It goes on for good, for a symbol may trade for the first time at any hour. */
  read() {
    if (!this.watch.interval) return;
    this.again?.end();
    const again = this.again = new Again(() => this.attempt(again));
    Object.assign(this, { sinceNs: null, hasReached: false, hasOpened: false, day: null });
    again.now();
  }

  async attempt(again) {
    const newest = this.watch.newestBar;
    if (!newest) return false; // nothing has come yet
    this.sinceNs ??= newest.start_ns;
    const day = Math.floor(newest.startMs / DAY_MS);
    if (day !== this.day) Object.assign(this, { day, asked: new Set() });
    const interval = askedFor(this.market.intervals);
    try {
      if (!this.hasReached) await this.reach(interval, day, again);
      if (this.hasReached && !again.ended) await this.previous(interval, day, again);
      return false;
    } catch (error) {
      return error.kind === "forbidden";
    }
  }

  async reach(interval, day, again) {
    const reached = await this.reached();
    if (again.ended) return;
    if (reached || !this.hasOpened) await this.opened(interval, day);
    if (again.ended) return;
    Object.assign(this, { hasReached: reached, hasOpened: true });
  }

  /** Return whether history has come as far as the feed was at first: what it says of days before is then whole. */
  async reached() {
    const { records } = await this.get("bars", { interval: this.watch.interval, from: this.sinceNs, limit: 1 });
    return records.length > 0;
  }

  async opened(interval, day) {
    await this.corrections(interval, day * DAY_MS - WEEK_MS);
    const { records } = await this.get("bars", { interval, from: `${day * DAY_MS}000000`, limit: LIMIT });
    this.watch.opened(records);
  }

  async corrections(interval, fromMs) {
    const intervals = [...new Set([interval, this.watch.interval])].join(",");
    try {
      const { records } = await this.get("corrected_bars", { interval: intervals, from: `${fromMs}000000`, limit: CORRECTED });
      for (const each of records) this.watch.corrected(each);
    } catch (error) {
      if (error.kind !== "forbidden" && error.status !== 404) throw error;
    }
  }

  async previous(interval, day, again) {
    const askable = (each) => !each.includes(",") && !this.asked.has(each); // a comma parts them in a request
    const symbols = this.watch.withoutPrevious(day).filter(askable);
    let left = REQUESTS;
    for (let at = 0; at < symbols.length && left > 0; at += SYMBOLS) {
      const some = symbols.slice(at, at + SYMBOLS);
      const wanted = new Set(some);
      const stepMs = intervalMs(interval) * Math.floor(LIMIT / wanted.size - 2);
      const read = async (fromMs, untilMs) => {
        if ((left -= 1) < 0 || again.ended) return { records: [], next: null };
        await new Promise((resolve) => { setTimeout(resolve, PAUSE_MS); });
        const range = { from: `${fromMs}000000`, to: `${untilMs}000000`, limit: LIMIT };
        return this.get("bars", { symbol: [...wanted].join(","), interval, ...range });
      };
      const untilMs = day * DAY_MS - intervalMs(interval) + 1; // what ends by midnight
      for await (const { records } of backwards(read, { untilMs, stepMs, oldestMs: untilMs - WEEK_MS })) {
        const last = new Map(records.map((each) => this.watch.newest(each)).filter(isTraded).map((bar) => [bar.symbol, bar]));
        if (!again.ended) this.watch.closedBefore(last.values(), day);
        for (const symbol of last.keys()) wanted.delete(symbol);
        if (wanted.size === 0) break;
      }
      if (again.ended) return;
      if (left >= 0) for (const symbol of some) this.asked.add(symbol);
    }
  }

  get(output, query) {
    return this.api.get(`/history/market/${output}`, query);
  }
}
