// The price of one symbol: figures, candles with the band of VaR, and the bars as a table.

import { nowMs } from "../ages.js";
import { Figures, card, disclosed, el, select, setOptions, setText } from "../dom.js";
import { paced } from "../frames.js";
import { NONE, count, minus, percent, price } from "../numbers.js";
import { Table } from "../table.js";
import { dateTime, moment, toMs } from "../times.js";
import { Candles } from "./candles.js";
import { band, breaches, gaps } from "./exceptions.js";
import { FigureChoice, figureName } from "./figures.js";
import { History } from "./history.js";
import { spread, used } from "./watch.js";

const TABLE_ROWS = 60;
const DRAW_MS = 250;

export class PriceCard {
  constructor(context, market, watch) {
    Object.assign(this, { market, watch });
    this.history = new History(context, () => this.stale());
    this.choice = new FigureChoice("VaR", () => this.stale());
    this.dirty = true;
    this.intervals = select("Interval", (value) => market.choose("interval", value));
    this.figures = new Figures(["Last", "Bid", "Ask", "Spread", "VaR of the next bar", "Expected shortfall", "VaR used"]);
    this.note = el("p", { class: "note" });
    this.method = el("p", { class: "note" });
    this.candles = new Candles(() => this.history.earlier());
    this.table = new Table("Bars of the symbol", [
      { title: "Begin (UTC)", text: (row) => moment(row.startMs, nowMs()) },
      ...["Open", "High", "Low", "Close"].map((title) =>
        ({ title, number: true, text: (row) => price(row[title.toLowerCase()]) })),
      { title: "Volume", number: true, text: (row) => count(row.volume) },
      { title: "Trades", number: true, text: (row) => count(row.trades) },
      { title: "", text: (row) => (row.version ? "corrected" : ""), hint: corrected },
    ], { key: (row) => row.id, empty: "No bar has been closed yet.", cap: TABLE_ROWS });
    this.details = disclosed("Bars as a table", this.table.node);
    this.details.addEventListener("toggle", () => this.stale());
    this.node = card("Price", { tools: [this.intervals.field, this.choice.field] },
      this.figures.node, this.method, this.candles.chart.host, this.note, this.details);
    this.heading = this.node.querySelector("h2");
    this.changed = paced(() => this.draw(), DRAW_MS);
    watch.addEventListener("changed", this.changed);
    market.addEventListener("symbol", () => this.show());
    market.addEventListener("interval", () => this.show());
    market.addEventListener("known", () => this.offer());
  }

  offer() {
    setOptions(this.intervals.node, this.market.intervals.map((each) => [each, each]));
    this.intervals.node.value = this.market.interval;
    if (this.history.symbol === undefined) this.show();
  }

  show() {
    const { symbol, interval } = this.market;
    if (!symbol || !interval) return;
    this.intervals.node.value = interval;
    setText(this.heading, symbol);
    this.choice.clear();
    this.candles.clear();
    this.table.loading();
    this.history.show(symbol, interval);
  }

  stale() {
    this.dirty = true;
    this.changed();
  }

  /** The figures are drawn as the watchlist is; the chart where one of its own records has come. */
  draw() {
    if (this.node.offsetParent === null || !this.history.symbol) return;
    this.choice.add([...this.history.figures.values()].map(({ last }) => last));
    const figure = this.history.figures.get(this.choice.node.value);
    if (figure) this.watch.choose(this.choice.node.value);
    this.figures.set(this.texts(figure?.last));
    if (!this.dirty) return;
    this.dirty = false;
    this.drawChart(figure);
  }

  drawChart(figure) {
    const { bars, lengthMs, refusal, answered } = this.history;
    const zone = band(bars, figure?.vars ?? new Map());
    const left = breaches(zone);
    const { revision } = this.history.versions;
    this.candles.draw({ bars, lengthMs, revision, band: zone, marks: marksOf(left, this.holes(bars)) });
    setText(this.method, this.said(figure?.last, zone, left));
    setText(this.note, this.told(bars, lengthMs));
    if (refusal) this.table.failed(refusal.reason, refusal.kind);
    else if (bars.length || answered) this.table.loaded();
    if (this.details.open) this.table.draw(this.history.newest(TABLE_ROWS).reverse());
  }

  texts(risk) {
    const row = this.watch.rows.get(this.history.symbol);
    const old = row !== undefined && this.watch.isSilent(row);
    const of = (text, atMs) => ({ text, atMs: text === NONE ? null : atMs, old });
    const riskMs = risk ? toMs(risk.ts_ns) : null;
    const figure = (value) => of(risk?.valid ? percent(value, 3) : risk ? "warming up" : NONE, riskMs);
    return {
      Last: of(price(row?.close), row?.barMs),
      Bid: of(price(row?.bid), row?.quoteMs),
      Ask: of(price(row?.ask), row?.quoteMs),
      Spread: of(row && spread(row) !== null ? `${minus(spread(row).toFixed(1))} bp` : NONE, row?.quoteMs),
      "VaR of the next bar": figure(risk?.var),
      "Expected shortfall": figure(risk?.es),
      "VaR used": of(row ? percent(used(row, this.watch.figure), 0) : NONE, row?.atMs),
    };
  }

  /** Say what the band is, and how many bars left it beside how many are expected to. */
  said(risk, zone, left) {
    const { interval } = this.history;
    if (!risk) {
      const others = this.market.riskIntervals.filter((each) => each !== interval).join(", ");
      return `No band: no VaR is made of bars of ${interval}${others ? ` (it is of ${others})` : ""}.`;
    }
    const closed = zone.filter((each) => each.low !== undefined).length;
    const number = (side) => left.filter((each) => each.side === side).length;
    const share = (n) => (closed ? ` (${percent(n / closed, 1)})` : "");
    return `Band: VaR by ${figureName(risk)}, around the close before, both ways. Of ${count(closed)} bars `
      + `${number("below")}${share(number("below"))} left it below and ${number("above")}${share(number("above"))} above; `
      + `${percent(1 - risk.confidence, 1)} are expected on each side.`;
  }

  told(bars, lengthMs) {
    const { count: number, missing } = gaps(bars, lengthMs);
    const empty = number ? `${count(number)} gaps without a trade, ${count(missing)} bars long.` : "";
    const begin = bars.length ? `${count(bars.length)} bars since ${moment(bars[0].startMs, nowMs())} UTC.` : "";
    const lost = this.history.gaps.records.reduce((sum, each) => sum + each.count, 0);
    const holes = lost ? `${count(lost)} ticks of the newest are missing by their numbers (squares).` : "";
    return [begin, empty, holes, this.history.note].filter(Boolean).join(" ");
  }

  /** Numbers that are missing in the stream, by the bar in which that was seen. */
  holes(bars) {
    const found = new Set();
    for (const { ts_ns: ts } of this.history.gaps.records) {
      const atMs = toMs(ts);
      const bar = bars.findLast(({ startMs }) => startMs <= atMs);
      if (bar && atMs < bar.endMs) found.add(bar.startMs);
    }
    return [...found].map((startMs) => ({ startMs, side: "gap" }));
  }
}

function corrected({ version, corrected_ns: at, trades }) {
  if (!version) return null;
  return `version ${version}, corrected ${dateTime(toMs(at))}${trades ? "" : ": no trade is left"}`;
}

function marksOf(left, holes) {
  return [...left, ...holes].sort((a, b) => a.startMs - b.startMs);
}
