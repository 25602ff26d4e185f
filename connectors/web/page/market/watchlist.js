// The watchlist: all symbols, sorted and filtered; the chosen one drives the rest of the page.

import { nowMs } from "../ages.js";
import { card, el, setText } from "../dom.js";
import { paced } from "../frames.js";
import { Grid } from "../grid.js";
import { NONE, count, minus, percent, price, signedPercent } from "../numbers.js";
import { age } from "../times.js";
import { base, change, spread, used } from "./watch.js";

const DRAW_MS = 250;
const CHOOSE_MS = 200;

const TIPS = { previous: "Since the last price before this day (UTC)", first: "Since the first price of this day (UTC) that is known" };

const points = (value) => (value === null ? NONE : minus(value.toFixed(Math.abs(value) < 10 ? 1 : 0)));
const toneOf = (value) => (value > 0 ? "good" : value < 0 ? "bad" : "");

export class Watchlist {
  constructor(market, watch) {
    Object.assign(this, { market, watch, visible: false, redraws: 0 });
    this.filter = el("input", {
      type: "search", placeholder: "Filter", "aria-label": "Filter symbols", autocomplete: "off", spellcheck: "false",
      input: () => this.draw(),
    });
    this.grid = new Grid("Watchlist", this.columns(), {
      key: (row) => row.symbol, chosen: (symbol) => this.choose(symbol),
      empty: "No bar has been closed yet.",
    });
    this.note = el("p", { class: "note" });
    this.node = card("Watchlist", { tools: [this.filter] }, this.note, this.grid.node);
    this.node.classList.add("watchlist");
    this.changed = paced(() => this.draw(), DRAW_MS);
    watch.addEventListener("changed", this.changed);
    market.addEventListener("symbol", () => this.grid.choose(market.symbol, false));
    setInterval(this.changed, 1000); // ages go on where nothing comes
  }

  columns() {
    const { watch } = this;
    const var_ = (row) => row.vars.get(watch.figure)?.now ?? null;
    const old = (row) => watch.isSilent(row);
    return [
      { title: "Symbol", text: (row) => row.symbol, value: (row) => row.symbol },
      { title: "Last", number: true, text: (row) => price(row.close), value: (row) => row.close, old },
      { title: "Change", number: true, hint: "Since the last price before this day (UTC), where history has one within a week; else since the first price of the day that is known", text: (row) => signedPercent(change(row), 2), tip: (row) => TIPS[base(row)?.of] ?? null, value: change, tone: (row) => toneOf(change(row)), old },
      { title: "Spread", number: true, hint: "In basis points of the middle", text: (row) => points(spread(row)), value: spread, old },
      { title: "VaR", number: true, hint: "Of the next bar, by the figure that is chosen", text: (row) => percent(var_(row), 3), value: var_, old },
      { title: "Used", number: true, hint: "The move since the last close as a share of VaR", text: (row) => percent(used(row, watch.figure), 0), value: (row) => used(row, watch.figure), tone: (row) => (used(row, watch.figure) >= 1 ? "bad" : ""), old },
      { title: "Br.", number: true, hint: "Breaches told by the flow, of the newest that are held", text: (row) => count(row.breaches), value: (row) => row.breaches },
      { title: "Age", number: true, hint: "Since the last quote or bar", text: (row) => (row.atMs ? (old(row) ? `silent ${age(row.atMs, nowMs())}` : age(row.atMs, nowMs())) : NONE), value: (row) => -row.atMs, tone: (row) => (old(row) ? "warn" : "") },
    ];
  }

  shown(whether) {
    this.visible = whether;
    if (whether) this.draw();
  }

  /** A row that is passed by with a held arrow key is not followed. */
  choose(symbol) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.market.choose("symbol", symbol), CHOOSE_MS);
  }

  draw() {
    if (!this.visible) return;
    const text = this.filter.value.trim().toUpperCase();
    const all = [...this.watch.rows.values()];
    const rows = text ? all.filter(({ symbol }) => symbol.toUpperCase().includes(text)) : all;
    this.say(text && all.length > 0);
    this.grid.draw(rows);
    this.redraws += 1;
    setText(this.note, text ? `${count(rows.length)} of ${count(all.length)} symbols` : `${count(all.length)} symbols`);
    if (this.market.symbol === undefined && this.grid.rows.length) this.market.choose("symbol", this.grid.rows[0].symbol);
  }

  say(filtered) {
    const { refusal } = this.watch;
    const { asked, error, intervals } = this.market;
    if (filtered) this.grid.say("empty", "No symbol has this in its name.");
    else if (refusal) this.grid.say(refusal.kind, refusal.reason);
    else if (error) this.grid.say(error.kind, `Symbols are not known: ${error.message}`);
    else if (asked && intervals.length === 0) this.grid.say("empty");
  }
}
