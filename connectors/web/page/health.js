// How the flows are: their workers and servers, latency, throughput, dead letters.

import { nowMs } from "./ages.js";
import { DeadLetters } from "./dead.js";
import { Figures, card, el, setText } from "./dom.js";
import { LatencyCard } from "./latency.js";
import { NONE, count, perSecond, seconds } from "./numbers.js";
import { Table } from "./table.js";
import { ThroughputCard } from "./throughput.js";
import { moment } from "./times.js";

const LIMITS = { lag: [10_000, 100_000], delay: [10, 60], answer: [0.1, 1] };
const THRESHOLDS = "Amber from, red from: lag 10,000 and 100,000 records; watermark delay 10 and 60 s; a server's answer 0.1 and 1 s. "
  + "Late and dead are totals since the worker's start.";

const sum = (values) => values.reduce((total, value) => total + value, 0);
const most = (values) => (values.length > 0 ? Math.max(...values) : undefined);

/** Return a worker's figures in one row; what it has not told is undefined. */
function rowOf(worker) {
  const lag = worker.lag ?? [];
  const delay = worker.watermark_delay ?? [];
  const rates = (worker.throughput ?? []).map((each) => each.per_second).filter((rate) => rate !== null);
  return {
    address: worker.address,
    name: worker.flow ? `${worker.flow} ${worker.index}` : worker.address.replace(/^https?:\/\//, ""),
    topics: [...new Set(lag.map((each) => each.topic))].sort(),
    state: stateOf(worker),
    lag: lag.length ? sum(lag.map((each) => each.messages)) : undefined,
    delay: most(delay.map((each) => each.seconds)),
    rate: rates.length ? sum(rates) : undefined,
    late: worker.late ? sum(worker.late.map((each) => each.total)) : undefined,
    dead: worker.dead ? sum(worker.dead.map((each) => each.total)) : undefined,
  };
}

function stateOf(worker) {
  if (worker.error) return { text: "No answer", tone: "bad" };
  if (!worker.live) return { text: "Stuck", tone: "bad" };
  if (worker.waiting?.length) return { text: `Waits for ${worker.waiting.join(", ")}`, tone: "warn" };
  if (!worker.ready) return { text: "Not ready", tone: "warn" };
  if (worker.stalled?.length) {
    const where = worker.stalled.map((each) => `${each.topic}/${each.partition}`).join(", ");
    return { text: `Held back by ${where}`, tone: "warn" };
  }
  return { text: "Ready", tone: "good" };
}

export class Health {
  constructor(context) {
    this.context = context;
    this.visible = false;
    this.note = el("p", { class: "note", role: "status" });
    this.figures = new Figures(["Workers ready", "Throughput", "Lag", "Watermark delay", "Late", "Dead"]);
    this.workers = new Table("Workers", [
      { title: "Worker", text: (row) => row.name, hint: (row) => row.address },
      { title: "State", text: (row) => row.state.text, tone: (row) => row.state.tone },
      { title: "Reads", text: (row) => topicsText(row.topics), hint: (row) => row.topics.join(", ") },
      { title: "Lag", number: true, text: (row) => count(row.lag), tone: (row) => toneOf("lag", row.lag) },
      { title: "Watermark delay", number: true, text: (row) => seconds(row.delay), tone: (row) => toneOf("delay", row.delay) },
      { title: "Records", number: true, text: (row) => perSecond(row.rate) },
      { title: "Late", number: true, text: (row) => count(row.late) },
      { title: "Dead", number: true, text: (row) => count(row.dead), tone: (row) => (row.dead ? "warn" : "") },
    ], { key: (row) => row.address, empty: "feed.workers names no worker." });
    this.sources = new Table("Servers", [
      { title: "Server", text: (row) => row.name },
      { title: "State", text: (row) => (row.ok ? "Answers" : "No answer"), tone: (row) => (row.ok ? "good" : "bad") },
      { title: "After", number: true, text: (row) => (row.ok ? seconds(row.ms / 1000) : NONE), tone: (row) => toneOf("answer", row.ms / 1000) },
    ], { key: (row) => row.name, empty: "The gateway asks no server." });
    this.latency = new LatencyCard();
    this.throughput = new ThroughputCard();
    this.dead = new DeadLetters(context);
    // It is the diagnosis: what the feed does not tell is no reason to dim it.
    this.node = el("div", { class: "own-age" }, this.note, el("div", { class: "grid" },
      card("Now", { span: true }, this.figures.node, el("p", { class: "note" }, THRESHOLDS)),
      card("Workers", {}, this.workers.node),
      card("Servers", {}, this.sources.node),
      el("div", { class: "columns" }, this.latency.node, this.throughput.node),
      this.dead.node));
    context.workers.addEventListener("told", () => this.told());
    context.workers.addEventListener("failed", () => this.failed());
  }

  shown(whether) {
    this.visible = whether;
    if (!whether) return;
    if (this.context.workers.error) this.failed();
    else this.told();
    this.dead.load();
  }

  renewed() {
    if (this.visible) this.dead.load();
  }

  failed() {
    const { error, atMs } = this.context.workers;
    this.say(`No figures since ${atMs ? `${moment(atMs, nowMs())} UTC` : "the start"}: ${error.message}`, "bad");
    this.node.classList.toggle("old", atMs !== null);
    const tables = [this.workers, this.sources, this.latency.table, this.throughput.table];
    for (const table of tables) table.failed(error.message, error.kind);
  }

  say(text, tone = "") {
    setText(this.note, text);
    this.note.dataset.tone = tone;
  }

  told() {
    const { last, atMs } = this.context.workers;
    if (!last) return;
    const rows = last.workers.map(rowOf);
    this.latency.add(last.workers);
    this.throughput.add(atMs, rows);
    if (!this.visible) return;
    this.say("");
    this.node.classList.remove("old");
    this.figures.set(this.totals(rows, last.workers, atMs));
    for (const table of [this.workers, this.sources]) table.loaded();
    this.workers.draw(rows);
    this.sources.draw(Object.entries(last.sources).map(([name, each]) => ({ name, ...each })));
  }

  totals(rows, workers, atMs) {
    const told = (field) => rows.map((row) => row[field]).filter((value) => value !== undefined);
    const total = (field) => (told(field).length ? sum(told(field)) : undefined);
    const ready = workers.filter((worker) => worker.ready).length;
    const delay = most(told("delay"));
    return {
      "Workers ready": { text: `${ready} of ${workers.length}`, tone: ready === workers.length ? "good" : "bad", atMs },
      Throughput: { text: perSecond(total("rate")), atMs },
      Lag: { text: count(total("lag")), tone: toneOf("lag", total("lag")), atMs },
      "Watermark delay": { text: seconds(delay), tone: toneOf("delay", delay), atMs },
      Late: { text: count(total("late")), atMs },
      Dead: { text: count(total("dead")), tone: total("dead") ? "warn" : "", atMs },
    };
  }
}

/** Return how bad a figure is: from its first threshold on "warn", from its second on "bad". */
function toneOf(name, value) {
  const [warn, bad] = LIMITS[name];
  return !(value >= warn) ? "" : value >= bad ? "bad" : "warn";
}

function topicsText(topics) {
  return topics.length > 2 ? `${topics.slice(0, 2).join(", ")} and ${topics.length - 2} more` : topics.join(", ") || NONE;
}
