// How the flows are: their workers and servers, latency, throughput, dead letters.

import { DeadLetters } from "./dead.js";
import { Figures, card, el, setText } from "./dom.js";
import { LatencyCard } from "./latency.js";
import { NONE, count, perSecond, seconds } from "./numbers.js";
import { Table } from "./table.js";
import { ThroughputCard } from "./throughput.js";
import { clock } from "./times.js";

const POLL_MS = 2000;
const UNAUTHENTICATED = 401;

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
  constructor(panel, context) {
    this.context = context;
    this.timer = null;
    this.visible = false;
    this.note = el("p", { class: "note", role: "status" });
    this.figures = new Figures(["Workers ready", "Throughput", "Lag", "Watermark delay", "Late", "Dead"]);
    this.workers = new Table("Workers", [
      { title: "Worker", text: (row) => row.name, hint: (row) => row.address },
      { title: "State", text: (row) => row.state.text, tone: (row) => row.state.tone },
      { title: "Reads", text: (row) => topicsText(row.topics), hint: (row) => row.topics.join(", ") },
      { title: "Lag", number: true, text: (row) => count(row.lag) },
      { title: "Watermark delay", number: true, text: (row) => seconds(row.delay) },
      { title: "Records", number: true, text: (row) => perSecond(row.rate) },
      { title: "Late", number: true, text: (row) => count(row.late) },
      { title: "Dead", number: true, text: (row) => count(row.dead), tone: (row) => (row.dead ? "warn" : "") },
    ], { key: (row) => row.address, empty: "feed.workers names no worker." });
    this.sources = new Table("Servers", [
      { title: "Server", text: (row) => row.name },
      { title: "State", text: (row) => (row.ok ? "Answers" : "No answer"), tone: (row) => (row.ok ? "good" : "bad") },
      { title: "After", number: true, text: (row) => (row.ok ? seconds(row.ms / 1000) : NONE) },
    ], { key: (row) => row.name, empty: "The gateway asks no server." });
    this.latency = new LatencyCard();
    this.throughput = new ThroughputCard();
    this.dead = new DeadLetters(context);
    panel.append(this.note, el("div", { class: "grid" },
      card("Now", { span: true }, this.figures.node),
      card("Workers", {}, this.workers.node),
      card("Servers", {}, this.sources.node),
      el("div", { class: "columns" }, this.latency.node, this.throughput.node),
      this.dead.node));
    document.addEventListener("visibilitychange", () => document.hidden || this.look());
  }

  shown(whether) {
    this.visible = whether;
    if (!whether) return;
    this.look();
    this.dead.load();
  }

  renewed() {
    if (this.visible) this.shown(true);
  }

  /** Ask, and again every two seconds as long as somebody looks. */
  async look() {
    clearTimeout(this.timer);
    if (!this.visible || document.hidden) return;
    try {
      this.show(await this.context.api.get("/health"));
      this.good(true, "");
    } catch (error) {
      this.good(false, `No figures since ${this.atMs ? clock(this.atMs) : "the start"}: ${error.message}`);
      if (error.status === UNAUTHENTICATED) return; // until there is another token
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), POLL_MS);
  }

  good(whether, text) {
    setText(this.note, text);
    this.note.dataset.tone = whether ? "" : "bad";
    this.note.parentElement.classList.toggle("old", !whether);
  }

  show({ workers, sources }) {
    this.atMs = this.context.feed.serverMs();
    const rows = workers.map(rowOf);
    const told = (field) => rows.map((row) => row[field]).filter((value) => value !== undefined);
    const total = (field) => (told(field).length ? sum(told(field)) : undefined);
    const ready = workers.filter((worker) => worker.ready).length;
    this.figures.set({
      "Workers ready": [`${ready} of ${workers.length}`, ready === workers.length ? "good" : "bad"],
      Throughput: perSecond(total("rate")),
      Lag: count(total("lag")),
      "Watermark delay": seconds(most(told("delay"))),
      Late: count(total("late")),
      Dead: [count(total("dead")), total("dead") ? "warn" : ""],
    });
    this.workers.draw(rows);
    this.sources.draw(Object.entries(sources).map(([name, each]) => ({ name, ...each })));
    this.latency.add(workers);
    this.throughput.add(this.atMs, rows);
  }
}

function topicsText(topics) {
  return topics.length > 2 ? `${topics.slice(0, 2).join(", ")} and ${topics.length - 2} more` : topics.join(", ") || NONE;
}
