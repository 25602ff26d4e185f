// Records a second of each worker over the last ten minutes.

import { Chart, colour } from "./charts.js";
import { card, disclosed, el } from "./dom.js";
import { perSecond } from "./numbers.js";
import { Table } from "./table.js";
import { clock } from "./times.js";

const POINTS = 300;
const ROWS = 30;
const WORKERS = 16;
const COLOURS = ["accent", "second", "good", "bad", "warn", "muted"];

export class ThroughputCard {
  constructor() {
    this.points = [];
    const host = el("div");
    this.table = new Table("Throughput, newest first", [
      { title: "Time (UTC)", text: (row) => clock(row.atMs) },
      { title: "Records", number: true, text: (row) => perSecond(row.total) },
    ], { key: (row) => row.atMs, empty: "No worker has told a rate yet.", cap: ROWS });
    this.node = card("Throughput", {}, el("p", { class: "note" }, "Records decoded, by worker."), host,
      disclosed("Throughput as a table", this.table.node));
    this.chart = new Chart(host, "Line chart of records a second by worker", {
      height: 240, x: { type: "date", tickformat: "%H:%M:%S" }, y: { rangemode: "tozero" },
      showlegend: true, legend: { orientation: "h", y: -0.25 },
    });
  }

  /** Take the rows of the workers' table at a time. */
  add(atMs, workers) {
    const rates = workers.filter((row) => row.rate !== undefined).slice(0, WORKERS);
    if (rates.length === 0) return;
    const total = rates.reduce((sum, row) => sum + row.rate, 0);
    this.points.push({ atMs, total, rates: new Map(rates.map((row) => [row.name, row.rate])) });
    if (this.points.length > POINTS) this.points.shift();
    this.table.draw(this.points.slice(-ROWS).reverse());
    this.chart.draw(() => this.traces());
  }

  traces() {
    const names = [...new Set(this.points.flatMap((point) => [...point.rates.keys()]))];
    return names.map((name, index) => ({
      name, mode: this.points.length < 3 ? "lines+markers" : "lines", line: { width: 2, color: colour(COLOURS[index % COLOURS.length]) },
      x: this.points.map((point) => point.atMs),
      y: this.points.map((point) => point.rates.get(name) ?? null),
      hovertemplate: "%{y:,.0f}/s",
    }));
  }
}
