// Profit and loss of a portfolio beside the VaR that was forecast for each session, with the exceptions.

import { Again } from "../again.js";
import { TimeChart } from "../charts.js";
import { Figures, card, el, select, setOptions, setText } from "../dom.js";
import { paced } from "../frames.js";
import { NONE, count, money, percent, signedPercent } from "../numbers.js";
import { Ring } from "../ring.js";
import { Table } from "../table.js";
import { date, toMs } from "../times.js";

const SESSIONS = 1500;
const YEARS_MS = 3 * 366 * 86_400_000;
const DRAW_MS = 500;
const ROWS = 60;

export class PnlCard {
  constructor({ api, feed }) {
    Object.assign(this, { api, feed, ends: [] });
    this.pnl = new Ring(SESSIONS, "ts_ns");
    this.risk = new Ring(4 * SESSIONS, "ts_ns");
    const choice = select("Forecast", () => this.changed());
    this.choice = choice.node;
    this.figures = new Figures(["Last P&L", "VaR of that session", "VaR used", "Exceptions"]);
    this.note = el("p", { class: "note" });
    this.table = new Table("Profit and loss by session, newest first", [
      { title: "Session (UTC)", text: (row) => date(row.atMs) },
      { title: "Return", number: true, text: (row) => signedPercent(row.return) },
      { title: "P&L", number: true, text: (row) => money(row.pnl) },
      { title: "VaR", number: true, text: (row) => percent(row.var, 3) },
      { title: "Used", number: true, text: (row) => percent(row.used, 0), tone: (row) => (row.used >= 1 ? "bad" : "") },
      { title: "Exception", text: (row) => (row.exception ? "exception" : NONE), tone: (row) => (row.exception ? "bad" : "") },
    ], { key: (row) => row.id, cap: ROWS, empty: "No session of this portfolio has closed: daily risk makes its P&L." });
    this.chart = new TimeChart("Return by session beside VaR, exceptions marked", {
      height: 240,
      options: { localization: { priceFormatter: (value) => percent(value, 2) } },
      build: (chart, library) => this.build(chart, library),
      paint: (colour) => this.paint(colour),
      fill: () => this.fill(),
    });
    this.node = card("P&L against VaR", { tools: [choice.field] },
      this.figures.node, this.chart.host, this.note, this.table.node);
    this.changed = paced(() => this.draw(), DRAW_MS);
  }

  /** Follow another portfolio: live, and three years back in history. */
  show(portfolio) {
    for (const end of this.ends) end();
    this.pnl.clear();
    this.risk.clear();
    Object.assign(this, { portfolio, told: false });
    this.table.loading();
    const scope = `portfolio:${encodeURIComponent(portfolio)}`;
    this.ends = [this.follow(`market.pnl?scope=${scope}`, this.pnl), this.follow(`market.risk?horizon=1&interval=session&scope=${scope}`, this.risk)];
    this.readBack();
    this.changed();
  }

  /** Read history until it has the first session that the feed told: it is written behind the feed, or may be away. */
  readBack() {
    if (this.portfolio === undefined) return;
    this.again?.end();
    this.first = this.pnl.records[0];
    const again = this.again = new Again(() => this.read(again));
    again.now();
  }

  follow(channel, ring) {
    const taken = (records) => {
      ring.add(records);
      if (ring === this.pnl) {
        this.first ??= records[0];
        this.told = true;
        this.table.loaded();
      }
      this.changed();
    };
    return this.feed.subscribe(channel, {
      snapshot: taken, delta: taken, refused: (reason, kind) => this.table.failed(reason, kind),
      reset: () => {
        ring.clear();
        if (ring === this.pnl) this.told = false;
        this.readBack();
      },
      trimmed: () => this.readBack(),
    });
  }

  async read(again) {
    const scope = `portfolio:${this.portfolio}`;
    const from = `${Math.floor(this.feed.serverMs() - YEARS_MS)}000000`;
    let found;
    let note = "";
    try {
      found = await Promise.all([["pnl", { scope }], ["risk", { scope, interval: "session" }]].map(
        ([output, filters]) => this.api.all(`/history/market/${output}`, { ...filters, from, limit: 10_000 })));
    } catch (error) {
      note = `No history: ${error.message}`;
      if (error.kind === "forbidden") again.end(); // another token begins anew
    }
    if (this.again !== again) return true;
    const [pnl, risk] = found ?? [[], []];
    this.pnl.add(pnl);
    this.risk.add(risk);
    setText(this.note, note);
    this.changed();
    return note === "" && (this.first ? pnl.some(({ id }) => id === this.first.id) : this.told);
  }

  /** Return the sessions with the forecast that was in force for each: that of the session before. */
  rows() {
    const [method, confidence] = this.choice.value.split("|");
    const forecasts = this.risk.records.filter((each) =>
      each.horizon === 1 && each.method === method && String(each.confidence) === confidence);
    let at = 0;
    let value = null;
    return this.pnl.records.map((each) => {
      const atMs = toMs(each.ts_ns);
      for (; at < forecasts.length && toMs(forecasts[at].ts_ns) < atMs; at += 1) {
        value = forecasts[at].valid ? forecasts[at].var : null;
      }
      const used = value > 0 ? Math.max(0, -each.return) / value : null;
      return { ...each, atMs, var: value, used, exception: each.exceptions[this.choice.value] === true };
    });
  }

  draw() {
    if (this.node.offsetParent === null) return;
    const keys = [...new Set(this.pnl.records.flatMap(({ exceptions }) => Object.keys(exceptions)))].sort();
    setOptions(this.choice, keys.map((key) => [key, nameOf(key)]));
    const rows = this.drawn = this.rows();
    const last = rows.at(-1);
    const judged = rows.filter((row) => this.choice.value in row.exceptions);
    const number = judged.filter((row) => row.exception).length;
    this.figures.set({
      "Last P&L": { text: last ? `${money(last.pnl)} (${signedPercent(last.return, 2)})` : NONE, tone: last?.pnl < 0 ? "bad" : "", atMs: last?.atMs },
      "VaR of that session": { text: percent(last?.var, 3), atMs: last?.atMs },
      "VaR used": { text: percent(last?.used, 0), tone: last?.used >= 1 ? "bad" : "", atMs: last?.atMs },
      Exceptions: judged.length ? `${count(number)} of ${count(judged.length)} (${percent(number / judged.length, 1)}), expected ${percent(1 - Number(this.choice.value.split("|")[1]), 1)}` : NONE,
    });
    this.table.draw(rows.slice(-ROWS).reverse());
    this.chart.host.hidden = rows.length === 0;
    if (rows.length) this.chart.draw();
  }

  build(chart, { HistogramSeries, LineSeries, createSeriesMarkers }) {
    const plain = { lastValueVisible: false, priceLineVisible: false };
    this.returns = chart.addSeries(HistogramSeries, plain);
    this.limit = chart.addSeries(LineSeries, { ...plain, lineType: 1, lineWidth: 2, crosshairMarkerVisible: false });
    this.marks = createSeriesMarkers(this.returns, []);
  }

  paint(colour) {
    this.colour = colour;
    this.limit.applyOptions({ color: colour("second") });
    if (this.drawn) this.fill();
  }

  fill() {
    const time = (row) => Math.floor(row.atMs / 1000);
    const tone = (row) => this.colour(row.exception ? "bad" : row.return < 0 ? "muted" : "accent");
    this.returns.setData(this.drawn.map((row) => ({ time: time(row), value: row.return, color: tone(row) })));
    this.limit.setData(this.drawn.map((row) => (row.var === null ? { time: time(row) } : { time: time(row), value: -row.var })));
    this.marks.setMarkers(this.drawn.filter((row) => row.exception).map((row) =>
      ({ time: time(row), position: "belowBar", shape: "arrowUp", color: this.colour("bad") })));
  }
}

function nameOf(key) {
  const [method, confidence] = key.split("|");
  return `${method}, ${Number((Number(confidence) * 100).toFixed(3))} %`;
}
