// The trading state of every account, the kill switch, and resuming.

import { confirm } from "../dialogs.js";
import { card, el, setText } from "../dom.js";
import { nextFrame } from "../frames.js";
import { NONE } from "../numbers.js";
import { Latest } from "../ring.js";
import { Table } from "../table.js";
import { clock, dateTime, span, toMs } from "../times.js";

const ALL = "*";
const ACCOUNTS = 1000;
const SILENT_MS = 3000;
const TONES = { ACTIVE: "good", REDUCING: "warn", HALTED: "bad" };
const CAUSES = { kill: "kill switch", manual: "by hand", drawdown: "drawdown breaker", var: "VaR breaker" };

const named = (account) => (account === ALL ? "All accounts" : account);

export class TradingCard {
  constructor({ feed, api }) {
    this.feed = feed;
    this.api = api;
    this.latest = new Latest(ACCOUNTS, ["account"]);
    this.heardMs = new Map();
    this.answer = el("p", { class: "note", role: "status" });
    this.table = new Table("Trading state by account", [
      { title: "Account", text: (row) => named(row.account) },
      { title: "State", text: (row) => this.stateOf(row), tone: (row) => this.toneOf(row) },
      { title: "Why", wrap: true, text: (row) => this.why(row), hint: (row) => `told ${dateTime(toMs(row.ts_ns))}` },
      { title: "Switch", node: (row) => this.buttons(row.account) },
    ], {
      key: (row) => row.account,
      empty: "No account is known: the trading flow has told no state yet.",
      cap: ACCOUNTS,
    });
    const killAll = el("button", { type: "button", class: "danger", click: () => this.kill(ALL) }, "Kill all trading");
    this.node = card("Trading", { tools: [killAll] }, this.table.node, this.answer);
    this.node.classList.add("never-dim"); // it says itself what is not known any more
    feed.subscribe("trading.state", {
      snapshot: (rows) => {
        for (const row of rows) this.heardMs.set(row.account, Math.min(Date.now(), this.localMs(row)));
        this.latest.clear();
        this.take(rows);
      },
      retracted: (rows) => {
        this.latest.retract(rows);
        this.take([]);
      },
      delta: (rows) => {
        for (const row of rows) this.heardMs.set(row.account, Date.now());
        this.take(rows);
      },
      reset: () => this.latest.clear(),
      refused: (reason) => setText(this.table.empty, reason),
    });
    setInterval(() => nextFrame(this, () => this.draw()), 1000);
  }

  localMs(row) {
    return toMs(row.ts_ns) - this.feed.clockAheadMs;
  }

  take(rows) {
    this.latest.add(rows);
    for (const account of this.heardMs.keys()) {
      if (!this.latest.byKey.has(account)) this.heardMs.delete(account);
    }
    nextFrame(this, () => this.draw());
  }

  draw() {
    this.table.draw(this.latest.records.sort((a, b) => (a.account < b.account ? -1 : 1)));
  }

  /** Who has heard nothing cannot know whether the switch was thrown (docs/trading.md). */
  silentMs(row) {
    const silent = Date.now() - (this.heardMs.get(row.account) ?? 0);
    return silent > SILENT_MS ? silent : 0;
  }

  stateOf(row) {
    return this.silentMs(row) ? "UNKNOWN" : row.state;
  }

  toneOf(row) {
    return this.silentMs(row) ? "warn" : TONES[row.state];
  }

  why(row) {
    const silent = this.silentMs(row);
    if (silent) return `was ${row.state}, silent for ${span(silent)}: treat as HALTED`;
    const cause = row.cause ? CAUSES[row.cause] : "";
    return [cause, row.reason].filter(Boolean).join(": ") || NONE;
  }

  buttons(account) {
    const who = named(account).toLowerCase();
    return el("div", { class: "buttons" },
      el("button", { type: "button", class: "danger small", "aria-label": `Kill ${who}`, click: () => this.kill(account) }, "Kill"),
      el("button", { type: "button", class: "small", "aria-label": `Resume ${who}`, click: () => this.resume(account) }, "Resume"));
  }

  async kill(account) {
    const who = account === ALL ? "all accounts" : `account ${account}`;
    await this.send("kill", account, {
      title: `Halt ${who}?`,
      text: "Orders will be rejected until trading is resumed. Cancels still pass.",
      action: "Kill", danger: true,
    });
  }

  async resume(account) {
    const who = account === ALL ? "all accounts" : `account ${account}`;
    await this.send("resume", account, {
      title: `Resume ${who}?`,
      text: "The kill switch is taken back. What else holds an account, such as a breaker, stays.",
      action: "Resume", danger: false,
    });
  }

  async send(what, account, question) {
    const reason = await confirm(question);
    if (reason === null) return;
    try {
      await this.api.post(`/trading/${what}`, reason ? { account, reason } : { account });
      this.say(`${clock(this.feed.serverMs())} UTC: ${what} of ${named(account).toLowerCase()} is on its way.`);
    } catch (error) {
      this.say(`${what} failed: ${error.message}`, true);
    }
  }

  say(text, bad = false) {
    this.answer.dataset.tone = bad ? "bad" : "";
    setText(this.answer, text);
  }
}
