// One portfolio: VaR by component, and the weights that an optimiser aims at.

import { Chart, colour } from "../charts.js";
import { Figures, card, el, setText } from "../dom.js";
import { FigureChoice } from "./figures.js";
import { paced } from "../frames.js";
import { NONE, percent } from "../numbers.js";
import { Latest } from "../ring.js";
import { Table } from "../table.js";
import { clock, toMs } from "../times.js";

const FIGURES = 64;
const BARS = 20;
const DRAW_MS = 500;

/** Return {symbol: value} as rows, the largest amounts first. */
function rowsOf(values) {
  return Object.entries(values)
    .map(([symbol, value]) => ({ symbol, value }))
    .sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
}

/** A bar for each symbol, beside a table of all of them. */
class Shares {
  constructor(label, title, empty) {
    this.host = el("div");
    this.rest = el("p", { class: "note" });
    this.table = new Table(label, [
      { title: "Symbol", text: (row) => row.symbol },
      { title, number: true, text: (row) => percent(row.value, 4) },
      { title: "Share", number: true, text: (row) => percent(row.share, 1) },
    ], { key: (row) => row.symbol, empty, cap: 500 });
    this.node = el("div", { class: "beside" }, el("div", {}, this.host, this.rest), this.table.node);
    this.chart = new Chart(this.host, `Bar chart: ${label}`, {
      x: { tickformat: ".3~%" }, y: { type: "category", autorange: "reversed" }, hovermode: "closest",
    });
  }

  draw(values) {
    const rows = rowsOf(values ?? {});
    const total = rows.reduce((sum, row) => sum + row.value, 0);
    for (const row of rows) row.share = total === 0 ? null : row.value / total;
    this.table.draw(rows);
    this.host.parentElement.hidden = rows.length === 0;
    setText(this.rest, rows.length > BARS ? `The largest ${BARS} of ${rows.length}.` : "");
    const shown = rows.slice(0, BARS);
    if (shown.length === 0) return;
    this.chart.draw(() => [{
      type: "bar", orientation: "h", y: shown.map((row) => row.symbol), x: shown.map((row) => row.value),
      marker: { color: shown.map((row) => colour(row.value < 0 ? "second" : "accent")) },
      hovertemplate: "%{y}: %{x:.4%}<extra></extra>",
    }], () => ({ height: 60 + 20 * shown.length }));
  }
}

export class PortfolioCards {
  constructor({ feed }, picker) {
    this.feed = feed;
    this.risk = new Latest(FIGURES, ["scope", "method", "interval", "confidence", "horizon"]);
    this.weights = null;
    this.ends = [];
    this.choice = new FigureChoice("Figure", () => this.changed());
    this.figures = new Figures(["VaR", "Expected shortfall", "Method", "As of (UTC)"]);
    this.components = new Shares("component VaR", "Component VaR",
      "No figure of this portfolio yet: its symbols have too few returns.");
    this.targets = new Shares("target weights", "Weight",
      "No target weights: they come of daily risk with market.targets.");
    this.target = el("p", { class: "note" });
    this.node = card("Portfolio risk", { tools: [picker, this.choice.field] },
      this.figures.node, this.components.node);
    this.targetNode = card("Target weights", {}, this.target, this.targets.node);
    this.changed = paced(() => this.draw(), DRAW_MS);
  }

  /** Follow another portfolio from here on. */
  show(portfolio) {
    for (const end of this.ends) end();
    this.risk.clear();
    this.choice.clear();
    this.weights = null;
    const scope = `portfolio:${encodeURIComponent(portfolio)}`;
    const follow = (output, take, reset, retract) => {
      const taken = (rows) => {
        take(rows);
        this.changed();
      };
      return this.feed.subscribe(`market.${output}?scope=${scope}`, {
        snapshot: (rows) => {
          reset();
          taken(rows);
        },
        delta: taken,
        retracted: (rows) => {
          retract(rows);
          this.changed();
        },
        reset,
        refused: (reason) => setText(this.target, reason),
      });
    };
    this.ends = [
      follow("risk", (rows) => {
        this.choice.add(rows);
        this.risk.add(rows);
      }, () => this.risk.clear(), (rows) => this.risk.retract(rows)),
      follow("weights", (rows) => {
        this.weights = rows.at(-1) ?? this.weights;
      }, () => { this.weights = null; }, () => { this.weights = null; }),
    ];
    this.changed();
  }

  draw() {
    const risk = this.risk.records.find((each) => this.choice.shows(each));
    const known = risk?.valid;
    this.figures.set({
      VaR: known ? percent(risk.var, 3) : risk ? "warming up" : NONE,
      "Expected shortfall": known ? percent(risk.es, 3) : NONE,
      Method: risk ? `${risk.method} ${percent(risk.confidence, 0)}` : NONE,
      "As of (UTC)": risk ? clock(toMs(risk.ts_ns)) : NONE,
    });
    this.components.draw(known ? risk.components : null);
    this.targets.draw(this.weights?.weights);
    const made = this.weights;
    setText(this.target, made
      ? `${made.objective} by ${made.solver || "no solver"}, ${clock(toMs(made.ts_ns))} UTC${made.stale ? `. Stale: ${made.reason}` : ""}`
      : "");
  }
}
