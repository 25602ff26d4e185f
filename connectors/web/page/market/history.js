// The bars and forecasts of one symbol and interval: live, and back through history.

import { Ring } from "../ring.js";
import { compareNs, intervalMs, toMs } from "../times.js";
import { Bars, isTraded } from "./bars.js";
import { endBars } from "./exceptions.js";
import { keyOf } from "./figures.js";
import { Past } from "./past.js";

const KEPT = 5000;

/**
 * `changed()` is called after each change. `note` says what is not there, and why. `figures` holds the forecasts by
 * figure: {last, vars}, the newest record, and for each end of a bar (ms) the VaR, null where it is not valid.
 */
export class History {
  constructor({ api, feed }, changed) {
    Object.assign(this, { api, feed, changed, ends: [], past: null });
    this.versions = new Bars(KEPT);
    this.gaps = new Ring(200, "ts_ns");
    this.figures = new Map();
    this.times = new Set();
  }

  /** Follow a symbol from here on. */
  show(symbol, interval) {
    for (const end of this.ends) end();
    this.versions.clear();
    this.gaps.clear();
    this.forgetForecasts();
    Object.assign(this, { symbol, interval, lengthMs: intervalMs(interval), refusal: null });
    const named = encodeURIComponent(symbol);
    const bars = `interval=${interval}&symbol=${named}`;
    this.ends = [
      this.followBars(`market.bars?${bars}`),
      this.follow(`market.corrected_bars?${bars}`, (records) => this.versions.add(records)),
      this.followForecasts(`market.risk?horizon=1&interval=${interval}&scope=symbol:${named}`),
      this.follow(`market.gaps?symbol=${named}`, (records) => this.gaps.add(records), { reset: () => this.gaps.clear() }),
    ];
    this.begin();
    this.changed();
  }

  /** Read history from now on back, where nothing of it is held. */
  begin() {
    if (this.symbol === undefined) return;
    this.past?.end();
    this.past = new Past(this.api, {
      symbol: this.symbol, interval: this.interval, lengthMs: this.lengthMs, now: () => this.now(),
      take: ({ bars, risk, corrected }) => {
        this.addForecasts(risk);
        this.versions.add(bars);
        this.versions.add(corrected);
      },
      drop: (ms) => this.versions.forgetBefore(ms),
      changed: () => this.changed(),
    });
  }

  now() {
    return Math.ceil(this.feed.serverMs() / this.lengthMs) * this.lengthMs;
  }

  followBars(channel) {
    const take = (records) => {
      this.past.meet("bar", records[0]);
      this.versions.add(records);
    };
    return this.follow(channel, take, {
      reset: () => this.versions.clear(),
      begins: true,
      refused: (reason, kind) => { this.refusal = { reason, kind }; },
    });
  }

  followForecasts(channel) {
    const take = (records) => {
      this.past.meet("risk", records[0]);
      this.addForecasts(records);
    };
    return this.follow(channel, take, { reset: () => this.forgetForecasts(), begins: true });
  }

  /** Follow a channel; `begins` says that history has what a reset or a gap of it leaves out. */
  follow(channel, take, { reset, refused, begins = false } = {}) {
    const taken = (records) => {
      take(records);
      this.changed();
    };
    return this.feed.subscribe(channel, {
      snapshot: taken, delta: taken,
      reset: () => {
        reset?.();
        if (begins) this.begin();
      },
      trimmed: () => { if (begins) this.past.gap(this.versions.records.at(-1)); },
      refused: (...why) => {
        refused?.(...why);
        this.changed();
      },
    });
  }

  /** Read the page of history before what is there. */
  earlier() {
    if (this.versions.records.length < KEPT) this.past.earlier();
  }

  /** What is not there, and why. */
  get note() {
    return this.past?.note ?? "";
  }

  /** Whether history has answered, be it with nothing. */
  get answered() {
    return Boolean(this.past?.began || this.note);
  }

  /** Take forecasts, in any order. */
  addForecasts(records) {
    for (const risk of records) {
      if (risk.horizon !== 1) continue;
      const key = keyOf(risk);
      if (!this.figures.has(key)) this.figures.set(key, { last: risk, vars: new Map() });
      const figure = this.figures.get(key);
      const atMs = toMs(risk.ts_ns);
      figure.vars.set(atMs, risk.valid ? risk.var : null);
      this.times.add(atMs);
      if (compareNs(risk.ts_ns, figure.last.ts_ns) > 0) figure.last = risk;
      if (figure.vars.size > 4 * KEPT) this.forgetBefore(figure.vars);
    }
    if (this.times.size > 4 * KEPT) this.forgetBefore(this.times);
  }

  /** Forecasts from before the first bar are of no use any more. */
  forgetBefore(times) {
    const [bar] = this.versions.records;
    const firstMs = bar ? toMs(bar.start_ns) : [...times.keys()].sort((a, b) => a - b).at(-KEPT);
    for (const ms of times.keys()) if (ms < firstMs) times.delete(ms);
  }

  forgetForecasts() {
    this.figures.clear();
    this.times.clear();
  }

  /** The bars in which trades are left, in their newest version, with startMs and endMs. */
  get bars() {
    const bars = this.versions.records.filter(isTraded);
    for (const bar of bars) bar.startMs ??= toMs(bar.start_ns);
    endBars(bars, this.lengthMs, Float64Array.from(this.times).sort());
    return bars;
  }

  /** The newest bars, those in which no trade is left among them. */
  newest(count) {
    return this.versions.records.slice(-count).map((bar) => ({ ...bar, startMs: toMs(bar.start_ns) }));
  }
}
