// Records a second of each worker over the last ten minutes.

import { TimeChart } from "./charts.js";
import { card, disclosed, el } from "./dom.js";
import { perSecond } from "./numbers.js";
import { Table } from "./table.js";
import { clock } from "./times.js";

const POINTS = 300;
const ROWS = 30;
const COLOURS = ["accent", "second", "good", "bad", "warn", "muted"];

export class ThroughputCard {
  constructor() {
    this.points = [];
    this.series = new Map();
    this.legend = el("p", { class: "legend" });
    this.table = new Table("Throughput, newest first", [
      { title: "Time (UTC)", text: (row) => clock(row.atMs) },
      { title: "Records", number: true, text: (row) => perSecond(row.total) },
    ], { key: (row) => row.atMs, empty: "No worker has told a rate yet.", cap: ROWS });
    this.chart = new TimeChart("Line chart of records a second by worker", {
      options: { timeScale: { timeVisible: true, secondsVisible: true }, handleScroll: false, handleScale: false },
      build: (chart, { LineSeries }) => {
        this.line = () => chart.addSeries(LineSeries, { lineWidth: 2, priceLineVisible: false });
      },
      paint: (colour) => this.paint(colour),
      fill: () => this.fill(),
    });
    this.chart.host.hidden = true;
    this.node = card("Throughput", {}, el("p", { class: "note" }, "Records decoded, by worker."), this.legend,
      this.chart.host, disclosed("Throughput as a table", this.table.node));
  }

  /** Take the rows of the workers' table at a time. */
  add(atMs, workers) {
    const rates = workers.filter((row) => row.rate !== undefined).slice(0, COLOURS.length);
    this.table.loaded();
    if (rates.length === 0) return;
    const total = rates.reduce((sum, row) => sum + row.rate, 0);
    const time = Math.floor(atMs / 1000);
    if (this.points.at(-1)?.time >= time) return; // the chart takes one value for each second
    this.points.push({ atMs, time, total, rates: new Map(rates.map((row) => [row.name, row.rate])) });
    if (this.points.length > POINTS) this.points.shift();
    this.table.draw(this.points.slice(-ROWS).reverse());
    this.chart.host.hidden = false;
    this.chart.draw();
  }

  fill() {
    const names = [...new Set(this.points.flatMap((point) => [...point.rates.keys()]))].slice(0, COLOURS.length);
    for (const name of names) {
      if (!this.series.has(name)) {
        this.series.set(name, this.line());
        this.chart.paint();
      }
      this.series.get(name).setData(this.points.map(({ time, rates }) =>
        (rates.has(name) ? { time, value: rates.get(name) } : { time })));
    }
    const known = names.join();
    if (this.legend.dataset.names === known) return;
    this.legend.dataset.names = known;
    this.legend.replaceChildren(...names.map((name, at) => {
      const key = el("span", { class: "key" }, name);
      key.style.setProperty("--key", `var(--${COLOURS[at]})`);
      return key;
    }));
  }

  paint(colour) {
    [...this.series.values()].forEach((series, at) => series.applyOptions({ color: colour(COLOURS[at]) }));
  }
}
