// The price of one symbol, the band that VaR put around it, and the trades that left the band.

import { Chart, colour } from "../charts.js";
import { Figures, card, disclosed, el } from "../dom.js";
import { FigureChoice } from "./figures.js";
import { paced } from "../frames.js";
import { NONE, count, percent, price, signedPercent } from "../numbers.js";
import { Ring } from "../ring.js";
import { Table } from "../table.js";
import { clock, intervalMs, toMs } from "../times.js";

const POINTS = 600;
const BREACHES = 200;
const TABLE_ROWS = 60;
const DRAW_MS = 250;

export class PriceCard {
  constructor({ feed, api }, picker) {
    this.feed = feed;
    this.api = api;
    this.bars = new Ring(POINTS, "start_ns");
    this.risk = new Ring(4 * POINTS, "ts_ns");
    this.breaches = new Ring(BREACHES, "ts_ns");
    this.quote = null;
    this.ends = [];
    this.choice = new FigureChoice("VaR of the band", () => this.changed());
    this.figures = new Figures(["Last", "Bid", "Ask", "VaR of the next bar", "Expected shortfall", "Breaches"]);
    const host = el("div");
    this.note = el("p", { class: "note" });
    this.table = new Table("Bars of the symbol", [
      { title: "End (UTC)", text: (row) => clock(row.endMs) },
      { title: "Close", number: true, text: (row) => price(row.close) },
      { title: "Low", number: true, text: (row) => price(row.low) },
      { title: "High", number: true, text: (row) => price(row.high) },
      { title: "Volume", number: true, text: (row) => count(row.volume) },
      { title: "VaR", number: true, text: (row) => percent(row.var, 3) },
    ], { key: (row) => row.id, empty: "No bar has been closed yet.", cap: TABLE_ROWS });
    this.details = disclosed("Bars as a table", this.table.node);
    this.details.addEventListener("toggle", () => this.changed());
    this.node = card("Price and VaR band", { tools: [picker, this.choice.field] },
      this.figures.node, host, this.note, this.details);
    this.chart = new Chart(host, "Line chart of the close with the band of VaR and breaches", {
      height: 340, x: { type: "date", tickformat: "%H:%M:%S" }, y: { tickformat: ",.2f" },
    });
    this.changed = paced(() => this.draw(), DRAW_MS);
  }

  /** Follow another symbol from here on. */
  show(symbol, interval) {
    for (const end of this.ends) end();
    for (const ring of [this.bars, this.risk, this.breaches]) ring.clear();
    this.choice.clear();
    this.quote = null;
    this.symbol = symbol;
    this.interval = interval;
    const scope = `symbol:${symbol}`;
    const named = encodeURIComponent(symbol);
    this.ends = [
      this.follow(`market.bars?interval=${interval}&symbol=${named}`, (rows) => this.bars.add(rows), () => this.bars.clear()),
      this.follow(`market.risk?interval=${interval}&scope=symbol:${named}`, (rows) => {
        this.choice.add(rows);
        this.risk.add(rows);
      }, () => this.risk.clear()),
      this.follow(`market.signals?scope=symbol:${named}`, (rows) => this.breaches.add(rows), () => this.breaches.clear()),
      this.follow(`market.nbbo?symbol=${named}`, (rows) => {
        this.quote = rows.at(-1) ?? this.quote;
      }, () => { this.quote = null; }),
    ];
    this.backfill("bars", { symbol, interval }, this.bars, symbol);
    this.backfill("risk", { scope, interval }, this.risk, symbol);
    this.changed();
  }

  follow(channel, take, reset) {
    const taken = (rows) => {
      take(rows);
      this.changed();
    };
    return this.feed.subscribe(channel, {
      snapshot: taken,
      delta: taken,
      reset,
      refused: (reason) => { this.note.textContent = reason; },
    });
  }

  /** What was before comes from history; where there is none, the chart begins now. */
  async backfill(output, filters, ring, symbol) {
    const length = intervalMs(this.interval);
    if (length === null) return;
    const from = Math.floor(this.feed.serverMs() - POINTS * length);
    try {
      const { records } = await this.api.get(`/history/market/${output}`, {
        ...filters, from: `${from}000000`, limit: POINTS,
      });
      if (symbol === this.symbol) ring.add(records);
      this.changed();
    } catch (error) {
      this.note.textContent = `No history: ${error.message}`;
    }
  }

  draw() {
    const length = intervalMs(this.interval) ?? 0;
    const bars = this.bars.records.map((bar) => ({ ...bar, endMs: toMs(bar.start_ns) + length }));
    const risk = this.risk.records.filter((each) => this.choice.shows(each));
    const varAt = new Map(risk.map((each) => [toMs(each.ts_ns), each.valid ? each.var : null]));
    for (const bar of bars) bar.var = varAt.get(bar.endMs) ?? null;
    this.figures.set(this.texts(bars.at(-1), risk.at(-1)));
    if (bars.length > 0) this.chart.draw(() => this.traces(bars));
    if (this.details.open) this.table.draw(bars.slice(-TABLE_ROWS).reverse());
  }

  texts(bar, risk) {
    const last = this.breaches.last;
    const known = risk?.valid;
    return {
      Last: price(bar?.close),
      Bid: price(this.quote?.bid),
      Ask: price(this.quote?.ask),
      "VaR of the next bar": known ? percent(risk.var, 3) : risk ? "warming up" : NONE,
      "Expected shortfall": known ? percent(risk.es, 3) : NONE,
      Breaches: last
        ? [`${this.breaches.records.length}, last ${clock(toMs(last.ts_ns))}`, "warn"]
        : "none seen",
    };
  }

  traces(bars) {
    // The forecast that is made at a bar's end holds until the next bar's end: steps, not slopes.
    const banded = bars.filter((bar) => bar.var !== null);
    const length = intervalMs(this.interval) ?? 0;
    const edges = (sign) => [
      ...banded.map((bar) => bar.close * (1 + sign * bar.var)),
      ...banded.slice(-1).map((bar) => bar.close * (1 + sign * bar.var)),
    ];
    const times = [...banded.map((bar) => bar.endMs), ...banded.slice(-1).map((bar) => bar.endMs + length)];
    const edge = { x: times, mode: "lines", line: { width: 1, color: colour("band-line"), shape: "hv" } };
    const first = bars[0].endMs;
    const marks = this.breaches.records.filter((each) => toMs(each.ts_ns) >= first);
    return [
      { ...edge, y: edges(1), name: "upper", hovertemplate: "%{y:,.4f}" },
      { ...edge, y: edges(-1), name: "lower", hovertemplate: "%{y:,.4f}", fill: "tonexty", fillcolor: colour("band") },
      {
        x: bars.map((bar) => bar.endMs), y: bars.map((bar) => bar.close), name: "close",
        mode: "lines", line: { width: 2, color: colour("accent") }, hovertemplate: "%{y:,.4f}",
      },
      {
        x: marks.map((mark) => toMs(mark.ts_ns)), y: marks.map((mark) => this.priceAt(bars, mark)),
        name: "breach", mode: "markers", text: marks.map((mark) => signedPercent(mark.value)),
        hovertemplate: "%{text}",
        marker: {
          size: 10, color: marks.map((mark) => colour(mark.kind === "breach_up" ? "good" : "bad")),
          symbol: marks.map((mark) => (mark.kind === "breach_up" ? "triangle-up" : "triangle-down")),
        },
      },
    ];
  }

  /** A signal's value is its move from the close of the last bar before it. */
  priceAt(bars, mark) {
    const before = bars.findLast((bar) => bar.endMs <= toMs(mark.ts_ns));
    return before ? before.close * (1 + mark.value) : null;
  }
}
