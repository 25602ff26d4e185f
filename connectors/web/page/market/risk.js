// The tab Risk: of one portfolio its P&L against VaR, components, backtests, scenarios and target weights.

import { nowMs } from "../ages.js";
import { card, el, select, setOptions, setText } from "../dom.js";
import { follow } from "../follow.js";
import { paced } from "../frames.js";
import { count, figure, money, percent, signedPercent } from "../numbers.js";
import { Latest } from "../ring.js";
import { Table } from "../table.js";
import { moment, toMs } from "../times.js";
import { LimitsCard } from "./limits.js";
import { PnlCard } from "./pnl.js";
import { PortfolioCards } from "./portfolio.js";

const DRAW_MS = 500;
const ROWS = 200;
const ZONES = { green: "good", yellow: "warn", red: "bad" };
const asOf = (row) => moment(toMs(row.ts_ns), nowMs());

export class RiskPanel {
  constructor(context, market) {
    this.market = market;
    this.feed = context.feed;
    this.ends = [];
    const picker = select("Portfolio", (name) => market.choose("portfolio", name));
    this.picker = picker.node;
    this.note = el("p", { class: "note", role: "status" }, "Looking for portfolios …");
    this.cards = new PortfolioCards(context, picker.field);
    this.pnl = new PnlCard(context);
    this.limits = new LimitsCard(context);
    this.lists = [this.backtests(), this.scenarios()];
    this.node = el("div", { "data-system": "market" }, this.note, el("div", { class: "columns" },
      this.pnl.node,
      el("div", { class: "stack" }, this.cards.node, this.cards.targetNode),
      this.limits.node,
      card("Backtests", {}, this.lists[0].table.node), card("Scenarios", {}, this.lists[1].table.node)));
    this.changed = paced(() => this.draw(), DRAW_MS);
    market.addEventListener("known", () => this.known());
    market.addEventListener("portfolio", () => this.show());
  }

  backtests() {
    const table = new Table("Backtests by method", [
      { title: "Method", text: (row) => `${row.method}, ${percent(row.confidence, 0)}` },
      { title: "Zone", text: (row) => row.zone, tone: (row) => ZONES[row.zone] },
      { title: "Exceptions", number: true, text: (row) => `${count(row.exceptions)} of ${count(row.observations)}` },
      { title: "Kupiec p", number: true, text: (row) => figure(row.kupiec_p) },
      { title: "Christoffersen p", number: true, text: (row) => figure(row.christoffersen_p) },
      { title: "Acerbi–Székely", number: true, text: (row) => figure(row.acerbi_szekely) },
      { title: "As of (UTC)", text: asOf },
    ], { key: (row) => `${row.method} ${row.confidence}`, cap: ROWS, empty: "No backtest: daily risk makes one at each close, once its window is full." });
    return { output: "backtest", store: new Latest(ROWS, ["scope", "method", "confidence"]), table };
  }

  scenarios() {
    const table = new Table("Scenarios, the worst first", [
      { title: "Scenario", text: (row) => row.scenario, hint: (row) => row.scenario, name: true },
      { title: "Return", number: true, text: (row) => signedPercent(row.return, 2), tone: (row) => (row.return < 0 ? "bad" : "good") },
      { title: "P&L", number: true, text: (row) => money(row.pnl) },
      { title: "As of (UTC)", text: asOf },
    ], { key: (row) => row.scenario, cap: ROWS, empty: "No scenario: market.risk.scenarios names them." });
    return { output: "stress", store: new Latest(ROWS, ["scope", "scenario"]), table };
  }

  shown(whether) {
    this.visible = whether;
    if (!whether) return;
    for (const each of [this, this.cards, this.pnl, this.limits]) each.changed();
  }

  renewed() {
    this.pnl.readBack();
  }

  known() {
    const { portfolios, error, portfolio } = this.market;
    const missing = portfolios.length ? "" : "No figure of a portfolio yet.";
    setText(this.note, error ? `Portfolios are not known: ${error.message}` : missing);
    if (portfolios.length === 0) return;
    setOptions(this.picker, portfolios.map((each) => [each, each]));
    this.picker.value = portfolio;
    if (this.showing !== portfolio) this.show();
  }

  show() {
    const { portfolio } = this.market;
    if (this.showing === portfolio || !portfolio) return;
    this.showing = portfolio;
    this.picker.value = portfolio;
    for (const end of this.ends) end();
    this.cards.show(portfolio);
    this.pnl.show(portfolio);
    this.limits.show(portfolio); // its account has its name
    const scope = `portfolio:${encodeURIComponent(portfolio)}`;
    this.ends = this.lists.map(({ output, store, table }) => {
      store.clear();
      return follow(this.feed, `market.${output}?scope=${scope}`, { store, table, changed: () => this.changed() });
    });
    this.changed();
  }

  draw() {
    if (!this.visible) return;
    const [backtests, scenarios] = this.lists;
    backtests.table.draw(backtests.store.records.sort((a, b) => (a.method < b.method ? -1 : 1)));
    scenarios.table.draw(scenarios.store.records.sort((a, b) => a.return - b.return));
  }
}
