// Every account with its state and its switches.

import { card, el } from "../dom.js";
import { nextFrame } from "../frames.js";
import { NONE } from "../numbers.js";
import { Table } from "../table.js";
import { age, dateTime, toMs } from "../times.js";
import { nowMs } from "../ages.js";
import { named, spoken, toneOf } from "./accounts.js";

export class TradingCard {
  constructor(accounts) {
    this.accounts = accounts;
    this.shown = false;
    this.table = new Table("Trading state by account", [
      { title: "Account", text: (row) => named(row.account), hint: (row) => row.account, name: true },
      { title: "State", text: (row) => accounts.stateOf(row), tone: (row) => toneOf(accounts.stateOf(row)) },
      { title: "Age", text: (row) => age(toMs(row.ts_ns), nowMs()) },
      { title: "Why", wrap: true, text: (row) => accounts.why(row) || NONE, hint: (row) => `told ${dateTime(toMs(row.ts_ns))}` },
      { title: "Switch", pinned: true, node: (row) => this.buttons(row.account) },
    ], {
      key: (row) => row.account, cap: 1000,
      empty: "No account is known: the trading flow has told no state yet.",
    });
    this.node = card("Trading", {}, this.table.node);
    this.node.classList.add("own-age"); // it says itself what is not known any more
    accounts.addEventListener("changed", () => nextFrame(this, () => this.draw()));
  }

  draw() {
    const { kind, text } = this.accounts.empty;
    if (kind === "empty") this.table.loaded();
    else if (kind !== "loading") this.table.failed(text, kind);
    if (this.node.offsetParent !== null) this.table.draw(this.accounts.rows);
  }

  buttons(account) {
    const who = spoken(account);
    const button = (what, text, tone) => el("button", {
      type: "button", class: `${tone} small`, "aria-label": `${text} ${who}`, click: () => this.accounts.send(what, account),
    }, text);
    return el("div", { class: "buttons" }, button("kill", "Kill", "danger"), button("resume", "Resume", ""));
  }
}
