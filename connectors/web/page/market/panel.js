// The tab Market: the watchlist, and of the chosen symbol the chart, features and signals.

import { el } from "../dom.js";
import { Closes } from "./closes.js";
import { FeatureList, SignalList } from "./lists.js";
import { PriceCard } from "./price.js";
import { Watch } from "./watch.js";
import { Watchlist } from "./watchlist.js";

export class MarketPanel {
  constructor(context, market) {
    this.market = market;
    this.watch = new Watch(context);
    this.list = new Watchlist(market, this.watch);
    this.closes = new Closes(context.api, this.watch, market);
    this.price = new PriceCard(context, market, this.watch);
    this.features = new FeatureList(context);
    this.signals = new SignalList(this.watch);
    this.node = el("div", { class: "market", "data-system": "market" },
      this.list.node,
      el("div", { class: "stack" }, this.price.node,
        el("div", { class: "columns" }, this.signals.node, this.features.node)));
    market.addEventListener("symbol", () => this.features.show(market.symbol));
    market.addEventListener("known", () => this.known());
    this.watch.addEventListener("figures", () => this.figure());
    if (market.symbol) {
      this.list.grid.choose(market.symbol, false);
      this.features.show(market.symbol);
    }
  }

  shown(whether) {
    this.list.shown(whether);
    if (!whether) return;
    this.price.changed();
    this.signals.changed();
    this.features.changed();
  }

  /** Another token may read what the one before might not. */
  renewed() {
    this.market.look();
    this.price.history.begin();
    this.closes.read();
  }

  /** The watchlist is of the interval that forecasts are made of, else of the shortest. */
  known() {
    const interval = this.market.riskIntervals[0] ?? this.market.intervals[0];
    if (interval === undefined || interval === this.interval) {
      this.list.draw();
      return;
    }
    this.interval = interval;
    this.watch.follow(interval);
    this.closes.read();
  }

  /** Of several figures the watchlist shows the one that the chart's choice begins with. */
  figure() {
    this.watch.figure = [...this.watch.figures.keys()].sort()[0];
  }
}
