// Lists of what came last: signals of everything, and features of one symbol.

import { card, select } from "../dom.js";
import { paced } from "../frames.js";
import { figure, signedPercent } from "../numbers.js";
import { Latest, Ring } from "../ring.js";
import { Table } from "../table.js";
import { clock, dateTime, toMs } from "../times.js";

const SIGNALS = 200;
const SIGNALS_SHOWN = 50;
const KINDS = 64;
const DRAW_MS = 250;
const NAMES = { breach_up: "▲ above", breach_down: "▼ below" };

export class SignalList {
  constructor({ feed }) {
    this.feed = feed;
    this.ring = new Ring(SIGNALS, "ts_ns");
    const what = select("Of", () => this.changed());
    for (const [value, text] of [["", "everything"], ["symbol:", "symbols"], ["portfolio:", "portfolios"]]) {
      what.node.append(new Option(text, value));
    }
    this.what = what.node;
    this.table = new Table("Signals, newest first", [
      { title: "Time (UTC)", text: (row) => clock(toMs(row.ts_ns), { millis: true }), hint: (row) => dateTime(toMs(row.ts_ns)) },
      { title: "Scope", text: (row) => row.scope.replace(":", " ") },
      { title: "Breach", text: (row) => NAMES[row.kind] ?? row.kind, tone: (row) => (row.kind === "breach_up" ? "good" : "bad") },
      { title: "Move", number: true, text: (row) => signedPercent(row.value) },
      { title: "Forecast", number: true, text: (row) => signedPercent(row.threshold) },
    ], { key: (row) => row.id, empty: "No move has exceeded its forecast yet.", cap: SIGNALS_SHOWN });
    this.node = card("Signals", { tools: [what.field], span: true }, this.table.node);
    this.changed = paced(() => this.draw(), DRAW_MS);
    const taken = (rows) => {
      this.ring.add(rows);
      this.changed();
    };
    feed.subscribe("market.signals", {
      snapshot: taken, delta: taken, reset: () => this.ring.clear(),
      refused: (reason) => { this.table.empty.textContent = reason; },
    });
  }

  draw() {
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
      { title: "As of", number: true, text: (row) => clock(toMs(row.ts_ns)) },
    ], { key: (row) => row.kind, empty: "No features: market.signals.kinds names which are made." });
    this.node = card("Features", {}, this.table.node);
    this.changed = paced(() => this.draw(), DRAW_MS);
  }

  /** Follow another symbol from here on. */
  show(symbol) {
    this.end?.();
    this.latest.clear();
    const change = (how) => (rows) => {
      this.latest[how](rows);
      this.changed();
    };
    this.end = this.feed.subscribe(`market.features?symbol=${encodeURIComponent(symbol)}`, {
      snapshot: change("replace"), delta: change("add"), retracted: change("retract"),
      reset: () => this.latest.clear(),
      refused: (reason) => { this.table.empty.textContent = reason; },
    });
    this.changed();
  }

  draw() {
    this.table.draw(this.latest.records.sort((a, b) => (a.kind < b.kind ? -1 : 1)));
  }
}
