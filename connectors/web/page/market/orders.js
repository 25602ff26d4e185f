// Orders: the accounts, decisions by reason, and a blotter of the newest decisions.

import { nowMs } from "../ages.js";
import { card, el, select, setOptions, setText } from "../dom.js";
import { follow } from "../follow.js";
import { paced } from "../frames.js";
import { NONE, count, percent, price } from "../numbers.js";
import { Ring } from "../ring.js";
import { Table } from "../table.js";
import { dateTime, moment, toMs } from "../times.js";
import { toneOf } from "./accounts.js";
import { LimitsCard } from "./limits.js";
import { TradingCard } from "./trading.js";

const KEPT = 2000;
const SHOWN = 200;
const DRAW_MS = 250;
const EMPTY = "No order, cancel or fill has been decided on yet.";

export class OrdersPanel {
  constructor(context, accounts) {
    this.ring = new Ring(KEPT, "ts_ns");
    this.visible = false;
    this.accounts = new TradingCard(accounts);
    this.limits = new LimitsCard(context);
    this.reasons = new Table("Decisions by reason", [
      { title: "Decision", text: (row) => row.decision, tone: (row) => toneOfDecision(row.decision) },
      { title: "Reason", text: (row) => row.reason },
      { title: "Number", number: true, text: (row) => count(row.number) },
      { title: "Share", number: true, text: (row) => percent(row.share, 1) },
      { title: "", share: (row) => row.share, text: () => "" },
      { title: "Last (UTC)", text: (row) => moment(row.lastMs, nowMs()) },
    ], { key: (row) => `${row.decision} ${row.reason}`, empty: EMPTY });
    this.blotter = new Table("Decisions, newest first", [
      { title: "Time (UTC)", text: (row) => moment(toMs(row.ts_ns), nowMs(), { millis: true }), hint: (row) => dateTime(toMs(row.ts_ns)) },
      { title: "Account", text: (row) => row.account ?? NONE, hint: (row) => row.account, name: true },
      { title: "Order", text: (row) => row.order_id, hint: (row) => row.order_id, name: true },
      { title: "Kind", text: (row) => row.kind },
      { title: "Decision", text: (row) => row.decision, tone: (row) => toneOfDecision(row.decision) },
      { title: "Reason", text: (row) => (row.reason === "NONE" ? NONE : row.reason) },
      { title: "State", text: (row) => row.state, tone: (row) => toneOf(row.state) },
      { title: "Mark", number: true, text: (row) => price(row.mark) },
      { title: "Position", number: true, text: (row) => count(row.position) },
    ], { key: (row) => row.id, empty: EMPTY, cap: SHOWN });
    const account = select("Account", () => {
      this.limits.choose((name) => !this.account.value || name === this.account.value);
      this.changed();
    });
    const decision = select("Decision", () => this.changed());
    setOptions(account.node, [["", "all"]]);
    setOptions(decision.node, ["", "accept", "reject"].map((each) => [each, each || "all"]));
    [this.account, this.decision] = [account.node, decision.node];
    this.note = el("p", { class: "note" });
    this.node = el("div", { class: "grid", "data-system": "trading" },
      this.accounts.node, this.limits.node, card("Decisions by reason", {}, this.reasons.node),
      card("Blotter", { tools: [account.field, decision.field], span: true }, this.note, this.blotter.node));
    this.changed = paced(() => this.draw(), DRAW_MS);
    this.limits.show(null);
    follow(context.feed, "trading.decisions", {
      store: this.ring, table: this.blotter, changed: () => this.changed(),
    });
  }

  shown(whether) {
    this.visible = whether;
    if (!whether) return;
    this.accounts.draw();
    this.limits.changed();
    this.changed();
  }

  draw() {
    if (!this.visible) return;
    const all = this.ring.records;
    const names = [...new Set(all.map((row) => row.account).filter(Boolean))].sort();
    setOptions(this.account, [["", "all"], ...names.map((each) => [each, each])]);
    const rows = all.filter((row) => this.passes(row));
    this.reasons.sayAs(this.blotter);
    this.reasons.draw(byReason(rows));
    this.blotter.draw(rows.slice(-SHOWN).reverse());
    setText(this.note, rows.length ? `${count(rows.length)} decisions held${rows.length > SHOWN ? `, the newest ${SHOWN} shown` : ""}.` : "");
  }

  passes(row) {
    return (!this.account.value || row.account === this.account.value)
      && (!this.decision.value || row.decision === this.decision.value);
  }
}

function toneOfDecision(decision) {
  return decision === "accept" ? "good" : "bad";
}

function byReason(rows) {
  const found = new Map();
  for (const { decision, reason, ts_ns: at } of rows) {
    const key = `${decision} ${reason}`;
    const each = found.get(key) ?? { decision, reason, number: 0 };
    each.number += 1;
    each.lastMs = toMs(at);
    found.set(key, each);
  }
  return [...found.values()].map((each) => ({ ...each, share: each.number / rows.length }))
    .sort((a, b) => b.number - a.number);
}
