// How much of each limit is used: by one account, or by all of them.

import { nowMs } from "../ages.js";
import { card } from "../dom.js";
import { follow } from "../follow.js";
import { paced } from "../frames.js";
import { NONE, count, figure, percent } from "../numbers.js";
import { Latest } from "../ring.js";
import { Table } from "../table.js";
import { age, dateTime, toMs } from "../times.js";

const KEPT = 4000;
const SHOWN = 200;
const DRAW_MS = 500;
const NEARLY = 0.8;
const NAMES = { max_position: "Position", max_open_orders: "Open orders", drawdown_limit: "Drawdown", var_limit: "VaR" };
const OF_VALUE = new Set(["drawdown_limit", "var_limit"]);

export class LimitsCard {
  constructor({ feed }) {
    this.feed = feed;
    this.store = new Latest(KEPT, ["account", "name"]);
    this.table = new Table("Limits used, the fullest first", [
      { title: "Account", text: (row) => row.account, hint: (row) => row.account, name: true },
      { title: "Limit", text: (row) => (row.symbol ? `${NAMES[row.name]} in ${row.symbol}` : NAMES[row.name]) },
      { title: "Used", number: true, text: (row) => (row.used === null ? "not told yet" : amount(row, row.used)) },
      { title: "Of", number: true, text: (row) => (row.most === null ? "off" : amount(row, row.most)) },
      { title: "Share", number: true, text: (row) => (row.share === null ? NONE : percent(row.share, 1)), tone: toneOf },
      { title: "", share: (row) => Math.min(1, row.share ?? 0), text: () => "" },
      { title: "Changed", text: (row) => age(toMs(row.ts_ns), nowMs()), hint: (row) => dateTime(toMs(row.ts_ns)) },
    ], {
      key: (row) => `${row.account}|${row.name}`, cap: SHOWN,
      empty: "No limit is told: the trading flow tells them of each account that it knows.",
    });
    this.node = card("Limits used", {}, this.table.node);
    this.node.dataset.system = "trading";
    this.changed = paced(() => this.draw(), DRAW_MS);
  }

  /** Follow the limits of one account from here on, or with null those of all. */
  show(account) {
    this.end?.();
    this.store.clear();
    const which = account === null ? "" : `?account=${encodeURIComponent(account)}`;
    this.end = follow(this.feed, `trading.limits${which}`, {
      store: this.store, table: this.table, changed: () => this.changed(),
    });
    this.changed();
  }

  /** Show the accounts that `passes` lets through; all, until it is told. */
  choose(passes) {
    this.passes = passes;
    this.changed();
  }

  draw() {
    if (this.node.offsetParent === null) return;
    const rows = this.store.records.filter((row) => this.passes?.(row.account) ?? true);
    this.table.draw(rows.sort((a, b) => (b.share ?? -1) - (a.share ?? -1) || (a.account < b.account ? -1 : 1)));
  }
}

function amount({ name }, value) {
  if (OF_VALUE.has(name)) return percent(value, 2);
  return Number.isInteger(value) ? count(value) : figure(value);
}

function toneOf({ share }) {
  if (share === null || share < NEARLY) return null;
  return share < 1 ? "warn" : "bad";
}
