// The market system's tab: `tab.js` of a folder named after the system, which the server finds.

import { select, setOptions, el, setText } from "../dom.js";
import { FeatureList, SignalList } from "./lists.js";
import { PortfolioCards } from "./portfolio.js";
import { PriceCard } from "./price.js";
import { TradingCard } from "./trading.js";
import { intervalMs } from "../times.js";

const EMPTY_WAIT_MS = 2000;
const NO_PORTFOLIO_WAIT_MS = 10_000;
const LOOK_AGAIN_MS = 60_000;
const UNAUTHENTICATED = 401;
const CHOSEN = "headrace-market";

export const title = "Market";

export class Panel {
  constructor(panel, context) {
    this.api = context.api;
    this.chosen = JSON.parse(sessionStorage.getItem(CHOSEN) ?? "{}");
    this.interval = null;
    const symbol = select("Symbol", (name) => this.showSymbol(name));
    const portfolio = select("Portfolio", (name) => this.showPortfolio(name));
    [this.symbols, this.portfolios] = [symbol.node, portfolio.node];
    this.price = new PriceCard(context, symbol.field);
    this.portfolio = new PortfolioCards(context, portfolio.field);
    this.features = new FeatureList(context);
    this.signals = new SignalList(context);
    this.trading = new TradingCard(context);
    this.note = el("p", { class: "note", role: "status" }, "Looking for symbols …");
    panel.append(this.note, el("div", { class: "grid" },
      this.price.node,
      el("div", { class: "stack" }, this.trading.node, this.features.node),
      this.portfolio.node, this.portfolio.targetNode,
      this.signals.node));
    this.look();
  }

  /** Charts that were hidden have no size: they are drawn when they are seen. */
  shown(whether) {
    if (!whether) return;
    this.price.changed();
    this.portfolio.changed();
  }

  renewed() {
    this.look();
  }

  /** Find out which symbols and portfolios there are, and again from time to time. */
  async look() {
    clearTimeout(this.timer);
    let wait = EMPTY_WAIT_MS;
    try {
      const [scopes, intervals] = await Promise.all(["scope", "interval"].map(
        (field) => this.api.get(`/values/market/risk/${field}`)));
      const { symbols, portfolios } = this.found(scopes.values, intervals.values);
      if (symbols > 0) wait = portfolios > 0 ? LOOK_AGAIN_MS : NO_PORTFOLIO_WAIT_MS;
      setText(this.note, symbols > 0 ? "" : "No risk figure yet: the market flow has closed no bar.");
    } catch (error) {
      setText(this.note, `Symbols are not known: ${error.message}`);
      if (error.status === UNAUTHENTICATED) return; // until there is another token
    }
    this.timer = setTimeout(() => this.look(), wait);
  }

  found(scopes, intervals) {
    const names = (kind) => scopes.filter((scope) => scope.startsWith(kind)).map((scope) => scope.slice(kind.length));
    const symbols = names("symbol:");
    const known = intervals.filter((text) => intervalMs(text) !== null);
    known.sort((a, b) => intervalMs(a) - intervalMs(b));
    this.interval ??= known[0] ?? null;
    this.offer(this.symbols, symbols, "symbol", (name) => this.showSymbol(name));
    const portfolios = names("portfolio:");
    this.offer(this.portfolios, portfolios, "portfolio", (name) => this.showPortfolio(name));
    return { symbols: symbols.length, portfolios: portfolios.length };
  }

  /** Fill a choice; show what was chosen before or, the first time, the first. */
  offer(node, names, what, show) {
    if (names.length === 0) return;
    const first = node.options.length === 0;
    setOptions(node, names.map((name) => [name, name]));
    if (!first) return;
    if (names.includes(this.chosen[what])) node.value = this.chosen[what];
    show(node.value);
  }

  showSymbol(name) {
    this.remember("symbol", name);
    this.price.show(name, this.interval);
    this.features.show(name);
  }

  showPortfolio(name) {
    this.remember("portfolio", name);
    this.portfolio.show(name);
  }

  remember(what, name) {
    this.chosen[what] = name;
    sessionStorage.setItem(CHOSEN, JSON.stringify(this.chosen));
  }
}
