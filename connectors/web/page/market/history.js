// The bars and forecasts of one symbol and interval: live, and back through history.

import { Ring } from "../ring.js";
import { compareNs, intervalMs, toMs } from "../times.js";
import { keyOf } from "./figures.js";

const KEPT = 5000;
const PAGE = 600;
const WIDER = 6;
const BEHIND_MS = 5_000;
const BEHIND_MOST_MS = 60_000;

/**
 * `changed()` is called after each change. `note` says what is not there, and why. `figures` holds the forecasts by
 * figure: {last, vars}, the newest record, and for each end of a bar (ms) the VaR, null where it is not valid.
 */
export class History {
  constructor({ api, feed }, changed) {
    Object.assign(this, { api, feed, changed, ends: [], note: "", figures: new Map() });
    this.rings = { bars: new Ring(KEPT, "start_ns"), gaps: new Ring(200, "ts_ns") };
  }

  /** Follow a symbol from here on. */
  show(symbol, interval) {
    for (const end of this.ends) end();
    for (const ring of Object.values(this.rings)) ring.clear();
    this.figures.clear();
    Object.assign(this, { symbol, interval, lengthMs: intervalMs(interval), refusal: null });
    const named = encodeURIComponent(symbol);
    this.ends = [
      this.follow(`market.bars?interval=${interval}&symbol=${named}`, this.rings.bars),
      this.follow(`market.risk?horizon=1&interval=${interval}&scope=symbol:${named}`, this),
      this.follow(`market.gaps?symbol=${named}`, this.rings.gaps),
    ];
    this.begin();
    this.changed();
  }

  /** Read back from now on, where nothing is held yet. */
  begin() {
    clearTimeout(this.timer);
    Object.assign(this, { fromMs: this.now(), firstLive: null, note: "", began: false, asking: false });
    this.earlier();
    this.later(BEHIND_MS);
  }

  /**
   * History is written behind the feed, by seconds or, after an outage, by hours: read what lies before the first bar
   * of the feed again, until that bar is there too.
   */
  later(ms) {
    this.timer = setTimeout(async () => {
      const { symbol, interval } = this;
      const caughtUp = await this.reread().catch(() => false); // `earlier` has told why
      if (!this.is(symbol, interval)) return;
      if (!caughtUp) this.later(Math.min(2 * ms, BEHIND_MOST_MS));
      this.changed();
    }, ms);
  }

  async reread() {
    const first = this.firstLive;
    const untilMs = first ? toMs(first) + this.lengthMs : this.now();
    const found = await this.page(untilMs - PAGE * this.lengthMs, untilMs);
    if (this.note) {
      Object.assign(this, { note: "", began: false });
      this.earlier();
    }
    return found.some((bar) => first && compareNs(bar.start_ns, first) === 0);
  }

  now() {
    return Math.ceil(this.feed.serverMs() / this.lengthMs) * this.lengthMs;
  }

  follow(channel, store) {
    const taken = (records) => {
      if (store === this.rings.bars) this.firstLive ??= records[0]?.start_ns;
      store.add(records);
      this.changed();
    };
    return this.feed.subscribe(channel, {
      snapshot: taken, delta: taken, reset: () => {
        store.clear();
        if (store === this.rings.bars) this.begin();
      },
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
        const fromMs = Math.floor(this.fromMs - PAGE * wide * this.lengthMs);
        const found = await this.page(fromMs, this.fromMs);
        if (this.is(symbol, interval)) this.fromMs = fromMs;
        if (found.length) return;
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

  /** Read what lies in [fromMs, untilMs); return the bars, none where another symbol is shown by then. */
  async page(fromMs, untilMs) {
    const { symbol, interval } = this;
    const range = { from: `${fromMs}000000`, to: `${untilMs}000000`, limit: PAGE };
    const [bars, risk] = await Promise.all([
      this.api.get("/history/market/bars", { symbol, interval, ...range }),
      this.api.get("/history/market/risk", { scope: `symbol:${symbol}`, interval, ...range, limit: 4 * PAGE })
        .catch(() => ({ records: [] })),
    ]);
    if (!this.is(symbol, interval)) return [];
    this.add(risk.records);
    this.rings.bars.add(bars.records);
    return bars.records;
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
