// The bars and forecasts of one symbol and interval: live, and back through history.

import { Ring } from "../ring.js";
import { compareNs, intervalMs, toMs } from "../times.js";
import { keyOf } from "./figures.js";

const KEPT = 5000;
const PAGE = 600;
const WIDER = 6;
const BEHIND_MS = [5_000, 30_000];

/**
 * `changed()` is called after each change. `note` says what is not there, and why. `figures` holds the forecasts by
 * figure: {last, vars}, the newest record, and for each end of a bar (ms) the VaR, null where it is not valid.
 */
export class History {
  constructor({ api, feed }, changed) {
    Object.assign(this, { api, feed, changed, ends: [], timers: [], note: "", figures: new Map() });
    this.rings = { bars: new Ring(KEPT, "start_ns"), gaps: new Ring(200, "ts_ns") };
  }

  /** Follow a symbol from here on. */
  show(symbol, interval) {
    for (const end of this.ends) end();
    for (const timer of this.timers) clearTimeout(timer);
    for (const ring of Object.values(this.rings)) ring.clear();
    this.figures.clear();
    Object.assign(this, { symbol, interval, lengthMs: intervalMs(interval), note: "", refusal: null, began: false, asking: false });
    const named = encodeURIComponent(symbol);
    this.ends = [
      this.follow(`market.bars?interval=${interval}&symbol=${named}`, this.rings.bars),
      this.follow(`market.risk?horizon=1&interval=${interval}&scope=symbol:${named}`, this),
      this.follow(`market.gaps?symbol=${named}`, this.rings.gaps),
    ];
    this.fromMs = this.now();
    this.earlier();
    this.timers = BEHIND_MS.map((ms) => setTimeout(() => this.fill(this.fromMs), ms));
    this.changed();
  }

  /** History is written some seconds behind the feed: read again what was not there yet. */
  async fill(fromMs) {
    const newest = Math.max(fromMs, this.now() - PAGE * this.lengthMs);
    await this.page(newest, this.now()).catch(() => false); // what failed before is told
    this.changed();
  }

  now() {
    return Math.ceil(this.feed.serverMs() / this.lengthMs) * this.lengthMs;
  }

  follow(channel, store) {
    const taken = (records) => {
      store.add(records);
      this.changed();
    };
    return this.feed.subscribe(channel, {
      snapshot: taken, delta: taken, reset: () => store.clear(),
      refused: (reason, kind) => {
        if (store === this.rings.bars) this.refusal = { reason, kind };
        this.changed();
      },
    });
  }

  /** Read the page of history before what is there; where it is empty, one six times as long. */
  async earlier() {
    if (this.asking || this.began || this.rings.bars.records.length >= KEPT) return;
    this.asking = true;
    const { symbol, interval } = this;
    try {
      for (let wide = 1; wide <= WIDER ** 4 && this.is(symbol, interval); wide *= WIDER) {
        const toMs_ = this.fromMs;
        this.fromMs = Math.floor(toMs_ - PAGE * wide * this.lengthMs);
        if (await this.page(this.fromMs, toMs_)) return;
      }
      if (this.is(symbol, interval)) this.began = true;
    } catch (error) {
      if (this.is(symbol, interval)) Object.assign(this, { note: `No history: ${error.message}`, began: true });
    } finally {
      if (this.is(symbol, interval)) this.asking = false;
      this.changed();
    }
  }

  is(symbol, interval) {
    return this.symbol === symbol && this.interval === interval;
  }

  /** Read what lies in [fromMs, toMs); return whether there was a bar. */
  async page(fromMs, untilMs) {
    const { symbol, interval } = this;
    const range = { from: `${fromMs}000000`, to: `${untilMs}000000`, limit: PAGE };
    const [bars, risk] = await Promise.all([
      this.api.get("/history/market/bars", { symbol, interval, ...range }),
      this.api.get("/history/market/risk", { scope: `symbol:${symbol}`, interval, ...range, limit: 4 * PAGE })
        .catch(() => ({ records: [] })),
    ]);
    if (!this.is(symbol, interval)) return false;
    this.add(risk.records);
    this.rings.bars.add(bars.records);
    return bars.records.length > 0;
  }

  /** Take forecasts, in any order. */
  add(records) {
    for (const risk of records) {
      if (risk.horizon !== 1) continue;
      const key = keyOf(risk);
      if (!this.figures.has(key)) this.figures.set(key, { last: risk, vars: new Map() });
      const figure = this.figures.get(key);
      figure.vars.set(toMs(risk.ts_ns), risk.valid ? risk.var : null);
      if (compareNs(risk.ts_ns, figure.last.ts_ns) > 0) figure.last = risk;
      if (figure.vars.size > 4 * KEPT) this.forget(figure.vars);
    }
  }

  /** Forecasts from before the first bar are of no use any more. */
  forget(vars) {
    const first = this.bars[0]?.startMs ?? 0;
    for (const ms of vars.keys()) if (ms < first) vars.delete(ms);
  }

  clear() {
    this.figures.clear();
  }

  /** The bars, with startMs and endMs. */
  get bars() {
    return this.rings.bars.records.map((bar) => {
      bar.startMs ??= toMs(bar.start_ns);
      bar.endMs ??= bar.startMs + this.lengthMs;
      return bar;
    });
  }
}
