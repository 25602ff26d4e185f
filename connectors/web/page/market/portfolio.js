// One portfolio: VaR by component, and the weights that an optimiser aims at.

import { nowMs } from "../ages.js";
import { Figures, card, el, setText } from "../dom.js";
import { follow } from "../follow.js";
import { paced } from "../frames.js";
import { NONE, percent } from "../numbers.js";
import { Latest } from "../ring.js";
import { Table } from "../table.js";
import { moment, toMs } from "../times.js";
import { FigureChoice } from "./figures.js";

const FIGURES = 64;
const DRAW_MS = 500;

/** A table of {symbol: value}, the largest amounts first, with a bar for each. */
class Shares {
  constructor(label, title, empty) {
    this.table = new Table(label, [
      { title: "Symbol", text: (row) => row.symbol, hint: (row) => row.symbol, name: true },
      { title, number: true, text: (row) => percent(row.value, 4) },
      { title: "Share", number: true, text: (row) => percent(row.share, 1) },
      { title: "", share: (row) => row.bar, text: () => "" },
    ], { key: (row) => row.symbol, empty, cap: 500 });
  }

  draw(values) {
    const rows = Object.entries(values ?? {}).map(([symbol, value]) => ({ symbol, value }));
    rows.sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
    const total = rows.reduce((sum, row) => sum + row.value, 0);
    const most = Math.abs(rows[0]?.value ?? 0);
    for (const row of rows) {
      row.share = total === 0 ? null : row.value / total;
      row.bar = most === 0 ? 0 : Math.abs(row.value) / most;
    }
    this.table.draw(rows);
  }
}

export class PortfolioCards {
  constructor({ feed }, picker) {
    this.feed = feed;
    this.risk = new Latest(FIGURES, ["scope", "method", "interval", "confidence", "horizon"]);
    this.weights = new Latest(1, ["scope"]);
    this.ends = [];
    this.choice = new FigureChoice("Figure", () => this.changed());
    this.figures = new Figures(["VaR", "Expected shortfall", "Method"]);
    this.components = new Shares("component VaR", "Component VaR",
      "No components of this figure: its method gives none, or its symbols have too few returns.");
    this.targets = new Shares("target weights", "Weight",
      "No target weights: they come of daily risk with market.targets.");
    this.target = el("p", { class: "note" });
    this.node = card("Portfolio risk", { tools: [picker, this.choice.field] },
      this.figures.node, this.components.table.node);
    this.targetNode = card("Target weights", {}, this.target, this.targets.table.node);
    this.changed = paced(() => this.draw(), DRAW_MS);
  }

  /** Follow another portfolio from here on. */
  show(portfolio) {
    for (const end of this.ends) end();
    this.risk.clear();
    this.weights.clear();
    this.choice.clear();
    const scope = `portfolio:${encodeURIComponent(portfolio)}`;
    this.ends = [
      follow(this.feed, `market.risk?scope=${scope}`, {
        store: this.risk, table: this.components.table,
        changed: (records) => {
          this.choice.add(records);
          this.changed();
        },
      }),
      follow(this.feed, `market.weights?scope=${scope}`, {
        store: this.weights, table: this.targets.table, changed: () => this.changed(),
      }),
    ];
    this.changed();
  }

  draw() {
    if (this.node.offsetParent === null) return;
    const risk = this.risk.records.find((each) => this.choice.shows(each));
    const known = risk?.valid;
    const atMs = risk ? toMs(risk.ts_ns) : null;
    this.figures.set({
      VaR: { text: known ? percent(risk.var, 3) : risk ? "warming up" : NONE, atMs },
      "Expected shortfall": { text: known ? percent(risk.es, 3) : NONE, atMs },
      Method: risk ? `${risk.method}, ${percent(risk.confidence, 0)}, ${risk.horizon} × ${risk.interval}` : NONE,
    });
    this.components.draw(known ? risk.components : null);
    const [made] = this.weights.records;
    this.targets.draw(made?.weights);
    setText(this.target, made
      ? `${made.objective} by ${made.solver || "no solver"}, ${moment(toMs(made.ts_ns), nowMs())} UTC${made.stale ? `. Stale: ${made.reason}` : ""}`
      : "");
  }
}
