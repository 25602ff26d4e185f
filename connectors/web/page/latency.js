// Latency from Kafka's timestamp to the sink, as a histogram of the last minute.

import { card, el, select, setOptions, setText } from "./dom.js";
import { NONE, count, seconds } from "./numbers.js";
import { Table } from "./table.js";

const POLLS = 31;

/** Add up the cumulative buckets of one sink over all workers: [{le, count}]. */
function added(workers, sink) {
  const sums = new Map();
  for (const worker of workers) {
    for (const { buckets } of (worker.latency ?? []).filter((each) => each.sink === sink)) {
      for (const { le, count: n } of buckets) sums.set(le, (sums.get(le) ?? 0) + n);
    }
  }
  return [...sums].map(([le, n]) => ({ le, count: n }));
}

/** Return what fell into each bucket between two cumulative readings; null where it began anew. */
function between(now, before) {
  const old = new Map(before.map(({ le, count: n }) => [le, n]));
  let last = 0;
  const rows = now.map(({ le, count: n }, index) => {
    const total = n - (old.get(le) ?? 0);
    const row = { le, from: index ? now[index - 1].le : 0, count: total - last };
    last = total;
    return row;
  });
  return rows.some((row) => row.count < 0) ? null : rows;
}

/** Return a quantile, by linear interpolation inside its bucket; null where there is none. */
function quantile(rows, q) {
  const total = rows.reduce((sum, row) => sum + row.count, 0);
  let below = 0;
  for (const row of rows) {
    if (total > 0 && below + row.count >= q * total) {
      if (row.le === null) return row.from;
      return row.from + (row.le - row.from) * (q * total - below) / row.count;
    }
    below += row.count;
  }
  return null;
}

export class LatencyCard {
  constructor() {
    this.polls = [];
    const { field, node } = select("Sink", () => this.draw());
    this.sink = node;
    this.summary = el("p", { class: "note" });
    this.table = new Table("Latency histogram of the last minute", [
      { title: "Up to", text: (row) => (row.le === null ? `above ${seconds(row.from)}` : seconds(row.le)) },
      { title: "Records", number: true, text: (row) => count(row.count) },
      { title: "", share: (row) => row.share, text: () => "" },
    ], { key: (row) => String(row.le), empty: "No record was written in the last minute." });
    this.node = card("Latency, last minute", { tools: [field] }, this.summary, this.table.node);
  }

  /** Take what the workers tell now. */
  add(workers) {
    this.polls.push(workers);
    if (this.polls.length > POLLS) this.polls.shift();
    const sinks = [...new Set(workers.flatMap((each) => (each.latency ?? []).map(({ sink }) => sink)))].sort();
    setOptions(this.sink, sinks.map((sink) => [sink, sink]));
    if (this.polls.length > 1) this.table.loaded();
    this.draw();
  }

  draw() {
    const sink = this.sink.value;
    const [first, last] = [this.polls[0], this.polls.at(-1)].map((poll) => added(poll ?? [], sink));
    const fresh = between(last, first);
    if (fresh === null) this.polls.splice(0, this.polls.length - 1);
    const rows = fresh ?? [];
    const most = Math.max(...rows.map((row) => row.count), 1);
    for (const row of rows) row.share = row.count / most;
    const filled = rows.map((row) => row.count > 0);
    const total = rows.reduce((sum, row) => sum + row.count, 0);
    this.table.draw(rows.slice(filled.indexOf(true), filled.lastIndexOf(true) + 1));
    setText(this.summary, total > 0
      ? `${count(total)} records: p50 ${seconds(quantile(rows, 0.5))}, p99 ${seconds(quantile(rows, 0.99))}`
      : `p50 ${NONE}, p99 ${NONE}: ${this.polls.length < 2 ? "measuring" : "nothing was sent"}`);
  }
}
