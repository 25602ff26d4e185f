// All symbols: what came last of each, kept from four channels. Nothing is drawn here.

import { intervalMs, toMs } from "../times.js";
import { Ring } from "../ring.js";
import { keyOf } from "./figures.js";

const SYMBOL = "symbol:";
const SIGNALS = 1000;
const SILENT_MS = 15_000;
const DAY_MS = 86_400_000;

/** Event "changed" whenever a record has come, "figures" where another figure is known. */
export class Watch extends EventTarget {
  constructor({ feed, pulse }) {
    super();
    this.feed = feed;
    this.pulse = pulse;
    this.rows = new Map();
    this.figures = new Map();
    this.figure = null;
    this.signals = new Ring(SIGNALS, "ts_ns");
    this.ends = [];
    this.lengthMs = 1000;
    this.quotesMs = 0;
    this.followSignals();
  }

  /** Follow the bars of one interval, the forecasts made of it, and all quotes. */
  follow(interval) {
    for (const end of this.ends) end();
    this.lengthMs = intervalMs(interval);
    const channels = [
      [`market.bars?interval=${interval}`, (bar) => this.bar(bar)],
      [`market.risk?horizon=1&interval=${interval}`, (risk) => this.risk(risk)],
      ["market.nbbo", (quote) => this.quote(quote)],
    ];
    this.ends = channels.map(([channel, take]) => this.subscribe(channel, (records) => records.forEach(take)));
  }

  /** Follow the signals of all scopes; event "signals" where some have come, or are refused. */
  followSignals() {
    const taken = (records) => {
      if (this.signals.add(records)) this.count();
      this.signalsRefused = null;
      this.dispatchEvent(new Event("signals"));
    };
    this.feed.subscribe("market.signals", {
      snapshot: taken, delta: taken,
      refused: (...why) => {
        this.signalsRefused = why;
        this.dispatchEvent(new Event("signals"));
      },
    });
  }

  subscribe(channel, take) {
    const taken = (records) => {
      take(records);
      this.dispatchEvent(new Event("changed"));
    };
    return this.feed.subscribe(channel, {
      snapshot: taken, delta: taken,
      refused: (reason, kind) => {
        if (channel.startsWith("market.bars")) this.refusal = { reason, kind };
        this.dispatchEvent(new Event("changed"));
      },
    });
  }

  row(symbol) {
    let row = this.rows.get(symbol);
    if (row === undefined) this.rows.set(symbol, row = { symbol, atMs: 0, barMs: 0, breaches: 0, vars: new Map() });
    return row;
  }

  bar({ symbol, start_ns: start, open, close }) {
    this.refusal = null;
    const row = this.row(symbol);
    const endMs = toMs(start) + this.lengthMs;
    if (endMs <= row.barMs) return;
    Object.assign(row, { before: row.close, close, barMs: endMs });
    const startMs = endMs - this.lengthMs;
    if (!row.first || day(row.first.atMs) !== day(startMs)) row.first = { price: open, atMs: startMs };
    this.seen(row, endMs);
  }

  risk(risk) {
    if (!risk.scope.startsWith(SYMBOL)) return;
    const key = keyOf(risk);
    if (!this.figures.has(key)) {
      this.figures.set(key, risk);
      this.dispatchEvent(new Event("figures"));
    }
    const { vars } = this.row(risk.scope.slice(SYMBOL.length));
    vars.set(key, { now: risk.valid ? risk.var : null, before: vars.get(key)?.now ?? null });
  }

  quote({ symbol, ts_ns: ts, bid, ask }) {
    const row = this.row(symbol);
    Object.assign(row, { bid, ask, quoteMs: toMs(ts) });
    this.seen(row, row.quoteMs);
  }

  seen(row, atMs) {
    if (atMs > row.atMs) row.atMs = atMs;
    if (atMs > this.quotesMs) {
      this.quotesMs = atMs;
      this.pulse.progress("market", atMs, this.lengthMs);
    }
  }

  count() {
    for (const row of this.rows.values()) row.breaches = 0;
    for (const { scope } of this.signals.records) {
      if (scope.startsWith(SYMBOL)) this.row(scope.slice(SYMBOL.length)).breaches += 1;
    }
  }

  /** Show this figure, where it is one of the watchlist's. */
  choose(key) {
    if (this.figures.has(key)) this.figure = key;
  }

  /** Take the first price of today of each symbol, as history has it. */
  opened(bars) {
    for (const { symbol, open, start_ns: start } of bars) {
      const row = this.row(symbol);
      const atMs = toMs(start);
      if (!row.first || atMs < row.first.atMs || day(atMs) > day(row.first.atMs)) row.first = { price: open, atMs };
    }
    this.dispatchEvent(new Event("changed"));
  }

  /** Whether a symbol has been silent for long while the flow went on. */
  isSilent(row) {
    return (this.pulse.eventMs("market") ?? 0) - row.atMs > SILENT_MS + 3 * this.lengthMs;
  }
}

const day = (ms) => Math.floor(ms / DAY_MS);

export const middle = ({ bid, ask }) => (bid != null && ask != null ? (bid + ask) / 2 : null);

/** Return the change since the first price of the day. */
export function change({ close, first }) {
  return close !== undefined && first ? close / first.price - 1 : null;
}

/** Return the spread in basis points of the middle. */
export function spread(row) {
  const mid = middle(row);
  return mid > 0 ? (row.ask - row.bid) / mid * 1e4 : null;
}

/** Return how much of a bar's VaR is used: by the move since the last close; without quotes by the last bar's. */
export function used(row, key) {
  const { now, before } = row.vars.get(key) ?? {};
  const mid = row.quoteMs > row.barMs ? middle(row) : null;
  const [to, from, limit] = mid !== null ? [mid, row.close, now] : [row.close, row.before, before];
  return limit > 0 && from > 0 ? Math.abs(to / from - 1) / limit : null;
}
