// What is chosen in the market's tabs, and what there is to choose from.

import { intervalMs } from "../times.js";

const EMPTY_WAIT_MS = 2000;
const NO_PORTFOLIO_WAIT_MS = 10_000;
const LOOK_AGAIN_MS = 60_000;
const CHOSEN = "headrace-market";
const PORTFOLIO = "portfolio:";

/**
 * Events: "symbol", "portfolio" and "interval" where another is chosen, "known" where there is something else to
 * choose from, or `error` has changed. Intervals are sorted, the shortest first.
 */
export class Market extends EventTarget {
  constructor({ api }) {
    super();
    this.api = api;
    this.chosen = JSON.parse(sessionStorage.getItem(CHOSEN) ?? "{}");
    this.intervals = [];
    this.riskIntervals = [];
    this.portfolios = [];
    this.error = null;
    this.asked = false;
    queueMicrotask(() => this.look());
  }

  get symbol() {
    return this.chosen.symbol;
  }

  get portfolio() {
    return this.chosen.portfolio;
  }

  get interval() {
    return this.chosen.interval;
  }

  /** Choose a symbol, a portfolio or an interval. */
  choose(what, value) {
    if (this.chosen[what] === value) return;
    this.chosen[what] = value;
    sessionStorage.setItem(CHOSEN, JSON.stringify(this.chosen));
    this.dispatchEvent(new Event(what));
  }

  /** Find out what there is, and again from time to time. */
  async look() {
    clearTimeout(this.timer);
    let wait = EMPTY_WAIT_MS;
    try {
      const [bars, risk, scopes] = await Promise.all(
        ["bars/interval", "risk/interval", "risk/scope"].map((what) => this.api.get(`/values/market/${what}`)));
      this.found(sorted(bars.values), sorted(risk.values), scopes.values);
      this.error = null;
      if (this.intervals.length) wait = this.portfolios.length ? LOOK_AGAIN_MS : NO_PORTFOLIO_WAIT_MS;
    } catch (error) {
      this.error = error;
    }
    this.asked = true;
    this.dispatchEvent(new Event("known"));
    if (this.error?.kind !== "forbidden") this.timer = setTimeout(() => this.look(), wait);
  }

  found(intervals, riskIntervals, scopes) {
    Object.assign(this, { intervals, riskIntervals });
    this.portfolios = scopes.filter((scope) => scope.startsWith(PORTFOLIO)).map((scope) => scope.slice(PORTFOLIO.length));
    this.offer("interval", riskIntervals.length ? [...riskIntervals, ...intervals] : intervals);
    this.offer("portfolio", this.portfolios);
  }

  /** Choose the first, where nothing is chosen or there is no such thing any more. */
  offer(what, names) {
    if (names.length && !names.includes(this.chosen[what])) this.choose(what, names[0]);
  }
}

function sorted(intervals) {
  const known = intervals.filter((text) => intervalMs(text) !== null);
  return known.sort((a, b) => intervalMs(a) - intervalMs(b));
}
