// All symbols: what came last of each, kept from five channels. Nothing is drawn here.

import { intervalMs, toMs } from "../times.js";
import { Latest, Ring } from "../ring.js";
import { isNewer, isTraded } from "./bars.js";
import { keyOf } from "./figures.js";

const SYMBOL = "symbol:";
const SIGNALS = 1000;
const SILENT_MS = 15_000;
const DAY_MS = 86_400_000;
const WEEK = 7;
const BARS = 3; // two closes, and one in hand for a bar of which no trade is left
const CORRECTED = 10_000;

/**
 * Event "changed" whenever a record has come, "figures" where another figure is known. A row has of its newest bars
 * `close`, the one before it `before`, and `barMs`, their end; of the day (UTC) of the newest, `first`, the first bar
 * that is known, and `previous`, {bar, day}, the last bar before it.
 */
export class Watch extends EventTarget {
  constructor({ feed, pulse }) {
    super();
    this.feed = feed;
    this.pulse = pulse;
    this.rows = new Map();
    this.figures = new Map();
    this.figure = null;
    this.signals = new Ring(SIGNALS, "ts_ns");
    this.corrections = new Latest(CORRECTED, ["symbol", "interval", "start_ns"]);
    this.ends = [];
    this.lengthMs = 1000;
    this.quotesMs = 0;
    this.followSignals();
  }

  /** Follow the bars of one interval, the forecasts made of it, and all quotes. */
  follow(interval) {
    for (const end of this.ends) end();
    for (const row of this.rows.values()) row.bars = [];
    Object.assign(this, { interval, lengthMs: intervalMs(interval) });
    const channels = [
      [`market.bars?interval=${interval}`, (bar) => this.bar(bar)],
      ["market.corrected_bars", (bar) => this.corrected(bar)], // of all intervals: the day may begin with another
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
      reset: () => { if (channel.startsWith("market.bars")) this.forget(); },
    });
  }

  row(symbol) {
    let row = this.rows.get(symbol);
    if (row === undefined) this.rows.set(symbol, row = { symbol, atMs: 0, barMs: 0, riskMs: 0, breaches: 0, bars: [], vars: new Map() });
    return row;
  }

  bar(record) {
    this.refusal = null;
    const row = this.row(record.symbol);
    const bar = this.newest(record);
    const startMs = toMs(bar.start_ns);
    if (startMs <= (row.bars.at(-1)?.startMs ?? -1)) return;
    if (day(startMs) > day(row.bars.at(-1)?.startMs ?? startMs)) this.nextDay(row, day(startMs));
    row.bars = [...row.bars, { ...bar, startMs }].slice(-BARS);
    if (isTraded(bar) && (!row.first || day(row.first.startMs) !== day(startMs))) row.first = { ...bar, startMs };
    this.settle(row);
    this.seen(row, this.endOf(row, row.bars.at(-1)));
  }

  /** What was the last price is now the last one before this day. */
  nextDay(row, today) {
    const last = row.bars.findLast(isTraded);
    row.previous = last && today - day(last.startMs) <= WEEK ? { bar: last, day: today } : undefined;
  }

  /** A closed bar is another one now. It is kept too, for a bar that comes after its correction. */
  corrected(record) {
    const known = this.corrections.get(record);
    if (known && !isNewer(record, known)) return;
    this.corrections.add([record]);
    const row = this.rows.get(record.symbol);
    if (!row) return;
    const corrected = (bar) => (isSame(bar, record) ? { ...record, startMs: bar.startMs } : bar);
    row.bars = row.bars.map(corrected);
    if (row.first) row.first = corrected(row.first);
    if (row.previous) row.previous.bar = corrected(row.previous.bar);
    this.settle(row);
    if ([row.first, row.previous?.bar].some((bar) => bar && !isTraded(bar))) this.forgetBase(row);
  }

  /** History has to tell anew what the change is counted from. */
  forgetBase(row) {
    row.first = row.previous = undefined;
    this.dispatchEvent(new Event("forgotten"));
  }

  /** Return a bar as it is now. */
  newest(bar) {
    return this.corrections.get(bar) ?? bar;
  }

  settle(row) {
    const [last, before] = row.bars.filter(isTraded).reverse();
    Object.assign(row, { close: last?.close, before: before?.close, barMs: last ? this.endOf(row, last) : 0 });
  }

  /** A bar that is cut at the end of a session ends where the forecast was made of it, and no later than now. */
  endOf(row, { startMs }) {
    const latestMs = Math.min(startMs + this.lengthMs, this.feed.serverMs());
    return row.riskMs > startMs ? Math.min(row.riskMs, latestMs) : latestMs;
  }

  /** The bars that were told no longer hold. */
  forget() {
    this.corrections.clear();
    for (const row of this.rows.values()) {
      Object.assign(row, { bars: [], first: undefined, previous: undefined });
      this.settle(row);
    }
    this.dispatchEvent(new Event("forgotten"));
  }

  risk(risk) {
    if (!risk.scope.startsWith(SYMBOL)) return;
    const key = keyOf(risk);
    if (!this.figures.has(key)) {
      this.figures.set(key, risk);
      this.dispatchEvent(new Event("figures"));
    }
    const row = this.row(risk.scope.slice(SYMBOL.length));
    const atMs = toMs(risk.ts_ns);
    if (atMs > row.riskMs) {
      row.riskMs = atMs;
      this.settle(row);
      this.seen(row, atMs);
    }
    const { vars } = row;
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

  /** The newest bar of all; undefined before the first. */
  get newestBar() {
    let newest;
    for (const { bars } of this.rows.values()) {
      const last = bars.at(-1);
      if (last && !(newest?.startMs >= last.startMs)) newest = last;
    }
    return newest;
  }

  /** Take the first bars of a day, as history has them. */
  opened(bars) {
    for (const bar of bars.map((each) => this.newest(each)).filter(isTraded)) {
      const row = this.rows.get(bar.symbol);
      const startMs = toMs(bar.start_ns);
      const { first } = row ?? {};
      if (!row || (first && (day(first.startMs) > day(startMs) || (day(first.startMs) === day(startMs) && first.startMs <= startMs)))) continue;
      row.first = { ...bar, startMs };
    }
    this.dispatchEvent(new Event("changed"));
  }

  /** Take the last bars before a day. */
  closedBefore(bars, today) {
    for (const bar of bars) {
      const row = this.rows.get(bar.symbol);
      if (row && !(row.previous?.day > today)) row.previous = { bar, day: today };
    }
    this.dispatchEvent(new Event("changed"));
  }

  /** Return the symbols with a price of this day, of which no price before it is known. */
  withoutPrevious(today) {
    const open = ({ bars, previous }) => bars.length && day(bars.at(-1).startMs) === today && previous?.day !== today;
    return [...this.rows.values()].filter(open).map(({ symbol }) => symbol);
  }

  /** Whether a symbol has been silent for long while the flow went on. */
  isSilent(row) {
    return (this.pulse.eventMs("market") ?? 0) - row.atMs > SILENT_MS + 3 * this.lengthMs;
  }
}

const day = (ms) => Math.floor(ms / DAY_MS);
const isSame = (bar, other) => bar.start_ns === other.start_ns && bar.interval === other.interval;

export const middle = ({ bid, ask }) => (bid != null && ask != null ? (bid + ask) / 2 : null);

/** Return {price, of} of what the change is counted from, or null; `of` is "previous" or "first". */
export function base({ bars, previous, first }) {
  if (!bars.length) return null;
  const today = day(bars.at(-1).startMs);
  if (previous?.day === today) return { price: previous.bar.close, of: "previous" };
  return first && day(first.startMs) === today ? { price: first.open, of: "first" } : null;
}

/** Return the change since the last price before the day, or else since its first. */
export function change(row) {
  const from = base(row);
  return row.close !== undefined && from ? row.close / from.price - 1 : null;
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
