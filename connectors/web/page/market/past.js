// What history has of one symbol and interval: back page by page, and on until it has met the feed.

import { Again } from "../again.js";
import { toMs } from "../times.js";
import { backwards } from "./backwards.js";

const KEPT = 5000;
const PAGE = 600;
const MOST = 10_000;

/**
 * History is written behind the feed, by seconds or, after an outage, by hours, and it may not answer for a while. So
 * it is asked again until it has the first bar and the first forecast that the feed gave: what is between them and
 * what was read before is read then. `take({bars, risk, corrected})` is handed what was read, `drop(ms)` forgets what
 * lies before a time, from which on all is read then, `changed()` is called after each attempt. `note` says what is not there, and why; `began` says whether there is nothing earlier.
 */
export class Past {
  constructor(api, { symbol, interval, lengthMs, now, take, drop, changed }) {
    Object.assign(this, { api, symbol, interval, lengthMs, now, take, drop, changed });
    Object.assign(this, { fromMs: now(), newestMs: null, toldMs: 0, first: {}, note: "", began: false, wanted: true, met: false });
    this.corrects = true;
    this.again = new Again(() => this.attempt());
    this.again.now();
  }

  get ended() {
    return this.again.ended;
  }

  end() {
    this.again.end();
  }

  /** Read the page before what is there. What fails is tried again by itself. */
  earlier() {
    if (this.again.running || this.began || this.note) return;
    this.wanted = true;
    this.again.anew();
  }

  /** The feed has told this: the first bar or the first forecast counts. */
  meet(what, record) {
    this.first[what] ??= record;
  }

  /** Behind this bar the feed has left some out. */
  gap(bar) {
    this.newestMs = Math.min(this.newestMs ?? Infinity, bar ? toMs(bar.start_ns) : Infinity);
    if (this.newestMs === Infinity) this.newestMs = null;
    Object.assign(this, { first: {}, met: false });
    this.again.anew();
  }

  async attempt() {
    try {
      if (this.wanted) await this.back();
      else if (!this.met) await this.on();
      this.note = "";
    } catch (error) {
      this.note = `No history: ${error.message}`;
      this.wanted ||= this.newestMs === null;
      if (error.kind === "forbidden") this.end(); // another token begins anew
    }
    this.changed();
    return this.met && !this.note;
  }

  /** Read back to the next bars that there are. */
  async back() {
    const read = (fromMs, untilMs) => this.bars(fromMs, untilMs, 2 * PAGE);
    const ranges = backwards(read, { untilMs: this.fromMs, stepMs: PAGE * this.lengthMs });
    for await (const { fromMs, untilMs, records } of ranges) {
      if (records.length) await this.rest(records, fromMs, untilMs);
      if (this.ended) return;
      this.fromMs = fromMs;
      this.wanted = false;
      if (records.length) return;
    }
    Object.assign(this, { began: true, wanted: false });
  }

  /** Read on from the newest bar that was read, up to the first of the feed. */
  async on() {
    const { first, newestMs: newestBefore } = this;
    const { bar, risk } = first;
    const untilMs = bar ? toMs(bar.start_ns) + this.lengthMs : this.now();
    const riskMs = Math.max(untilMs, risk ? toMs(risk.ts_ns) : 0) + 1;
    // The feed begins with bars of before now, which may have been read already.
    const reachedMs = newestBefore === null ? 0 : Math.min(newestBefore, bar ? toMs(bar.start_ns) : Infinity);
    const beginMs = Math.max(reachedMs, untilMs - KEPT * this.lengthMs);
    if (newestBefore !== null && beginMs > newestBefore) { // too far to read it all: begin anew here
      this.drop(beginMs);
      Object.assign(this, { fromMs: beginMs, began: false });
    }
    let fromMs = beginMs;
    let restMs = Math.max(Math.min(fromMs, this.toldMs), fromMs - PAGE * this.lengthMs); // forecasts may be further behind
    const known = risk === undefined || toMs(risk.ts_ns) < restMs; // of a figure that nobody makes any more
    const [bars, forecasts] = [new Set(), new Set()];
    for (let more = true; more && !this.ended;) {
      const { records, next } = await this.bars(fromMs, untilMs, PAGE);
      more = next !== null;
      const read = await this.rest(records, restMs, more ? toMs(records.at(-1).start_ns) : riskMs);
      for (const { id } of records) bars.add(id);
      for (const { id } of read) forecasts.add(id);
      fromMs = restMs = this.newestMs ?? fromMs;
    }
    if (newestBefore === null && this.newestMs !== null) { // there was nothing at all before
      Object.assign(this, { fromMs: beginMs, began: false });
    }
    if (first === this.first) this.met = bar !== undefined && bars.has(bar.id) && (known || forecasts.has(risk.id));
  }

  bars(fromMs, untilMs, limit) {
    return this.api.get("/history/market/bars", this.query({ symbol: this.symbol }, fromMs, untilMs, limit));
  }

  /** Read what belongs to bars, and hand on all; return the forecasts. That of a bar is dated by its end. */
  async rest(bars, fromMs, untilMs) {
    const [risk, corrected] = await Promise.all([
      this.all("risk", { scope: `symbol:${this.symbol}` }, fromMs, untilMs).catch(unlessRefused),
      this.corrected(fromMs, untilMs),
    ]);
    if (this.ended) return [];
    for (const bar of bars) this.newestMs = Math.max(this.newestMs ?? 0, toMs(bar.start_ns));
    for (const each of risk) this.toldMs = Math.max(this.toldMs, toMs(each.ts_ns));
    this.take({ bars, risk, corrected });
    return risk;
  }

  /** Return corrected bars; none where the token or history has no such output, and then it is not asked for again. */
  async corrected(fromMs, untilMs) {
    if (!this.corrects) return [];
    try {
      return await this.all("corrected_bars", { symbol: this.symbol }, fromMs, untilMs);
    } catch (error) {
      const none = unlessRefused(error);
      this.corrects = false;
      return none;
    }
  }

  all(output, filters, fromMs, untilMs) {
    return this.api.all(`/history/market/${output}`, this.query(filters, fromMs, untilMs, MOST));
  }

  query(filters, fromMs, untilMs, limit) {
    return { ...filters, interval: this.interval, from: `${fromMs}000000`, to: `${untilMs}000000`, limit };
  }
}

/** What is not there or not allowed is none; what cannot be read now is to be asked again. */
function unlessRefused(error) {
  if (error.kind === "forbidden" || error.status === 404) return [];
  throw error;
}
