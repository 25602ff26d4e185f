// Lists of what came last: signals of everything, and features of one symbol.

import { nowMs } from "../ages.js";
import { card, select } from "../dom.js";
import { follow } from "../follow.js";
import { paced } from "../frames.js";
import { figure, signedPercent } from "../numbers.js";
import { Latest } from "../ring.js";
import { Table } from "../table.js";
import { age, dateTime, moment, toMs } from "../times.js";

const SIGNALS_SHOWN = 50;
const KINDS = 64;
const DRAW_MS = 250;
const NAMES = { breach_up: "▲ above", breach_down: "▼ below" };

export class SignalList {
  /** The records are those of the watchlist, which counts them. */
  constructor(watch) {
    this.ring = watch.signals;
    const what = select("Of", () => this.changed());
    for (const [value, text] of [["", "everything"], ["symbol:", "symbols"], ["portfolio:", "portfolios"]]) {
      what.node.append(new Option(text, value));
    }
    this.what = what.node;
    this.table = new Table("Signals, newest first", [
      { title: "Time (UTC)", text: (row) => moment(toMs(row.ts_ns), nowMs(), { millis: true }), hint: (row) => dateTime(toMs(row.ts_ns)) },
      { title: "Scope", text: (row) => row.scope.replace(":", " "), hint: (row) => row.scope, name: true },
      { title: "Breach", text: (row) => NAMES[row.kind] ?? row.kind, tone: (row) => (row.kind === "breach_up" ? "good" : "bad") },
      { title: "Move", number: true, text: (row) => signedPercent(row.value) },
      { title: "Forecast", number: true, text: (row) => signedPercent(row.threshold) },
    ], { key: (row) => row.id, empty: "No move has exceeded its forecast yet.", cap: SIGNALS_SHOWN });
    this.node = card("Signals", { tools: [what.field] }, this.table.node);
    this.changed = paced(() => this.draw(), DRAW_MS);
    watch.addEventListener("signals", () => {
      if (watch.signalsRefused) this.table.failed(...watch.signalsRefused);
      else this.table.loaded();
      this.changed();
    });
  }

  draw() {
    if (this.node.offsetParent === null) return;
    const rows = this.ring.records.filter((row) => row.scope.startsWith(this.what.value));
    this.table.draw(rows.slice(-SIGNALS_SHOWN).reverse());
  }
}

export class FeatureList {
  constructor({ feed }) {
    this.feed = feed;
    this.latest = new Latest(KINDS, ["symbol", "kind"]);
    this.end = null;
    this.table = new Table("Features of the symbol", [
      { title: "Feature", text: (row) => row.kind },
      { title: "Value", number: true, text: (row) => figure(row.value) },
      { title: "Age", number: true, text: (row) => age(toMs(row.ts_ns), nowMs()) },
    ], { key: (row) => row.kind, empty: "No features yet: market.signals.kinds names which are made." });
    this.node = card("Features", {}, this.table.node);
    this.changed = paced(() => this.draw(), DRAW_MS);
  }

  /** Follow another symbol from here on. */
  show(symbol) {
    this.end?.();
    this.latest.clear();
    this.end = follow(this.feed, `market.features?symbol=${encodeURIComponent(symbol)}`, {
      store: this.latest, table: this.table, changed: () => this.changed(),
    });
    this.changed();
  }

  draw() {
    if (this.node.offsetParent === null) return;
    this.table.draw(this.latest.records.sort((a, b) => (a.kind < b.kind ? -1 : 1)));
  }
}
