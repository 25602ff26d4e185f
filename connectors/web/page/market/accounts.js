// The trading state of every account, as the flow tells it, and what silence means.

import { Latest } from "../ring.js";
import { span, toMs } from "../times.js";

export const ALL = "*";
const ACCOUNTS = 1000;
const SILENT_MS = 3000;
const BEAT_MS = 1000;
const TONES = { ACTIVE: "good", REDUCING: "warn", UNKNOWN: "warn", HALTED: "bad" };
const WORST = ["HALTED", "UNKNOWN", "REDUCING", "ACTIVE"];
const CAUSES = { kill: "kill switch", manual: "by hand", drawdown: "drawdown breaker", var: "VaR breaker" };

export const named = (account) => (account === ALL ? "All accounts" : account);
export const spoken = (account) => (account === ALL ? "all accounts" : account); // inside a sentence
export const toneOf = (state) => TONES[state];

/** Event "changed" where a state has come, or has fallen silent; `empty` is {kind, text} of why nothing is there. */
export class Accounts extends EventTarget {
  constructor({ feed, pulse }) {
    super();
    this.feed = feed;
    this.pulse = pulse;
    this.latest = new Latest(ACCOUNTS, ["account"]);
    this.heardMs = new Map();
    this.empty = { kind: "loading", text: "" };
    feed.subscribe("trading.state", {
      snapshot: (rows) => {
        for (const row of rows) this.heardMs.set(row.account, Math.min(Date.now(), this.localMs(row)));
        this.latest.clear();
        this.empty = { kind: "empty", text: "" };
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
      refused: (text, kind) => {
        this.latest.clear();
        this.empty = { kind, text };
        this.take([]);
      },
    });
    setInterval(() => this.dispatchEvent(new Event("changed")), 1000);
  }

  localMs(row) {
    return toMs(row.ts_ns) - this.feed.clockAheadMs;
  }

  take(rows) {
    this.latest.add(rows);
    for (const account of this.heardMs.keys()) {
      if (!this.latest.byKey.has(account)) this.heardMs.delete(account);
    }
    for (const row of rows) this.pulse.progress("trading", toMs(row.ts_ns), BEAT_MS);
    this.dispatchEvent(new Event("changed"));
  }

  /** All accounts by name, the one that stands for all first. */
  get rows() {
    return this.latest.records.sort((a, b) => (a.account < b.account ? -1 : 1));
  }

  /** Who has heard nothing cannot know whether the switch was thrown (docs/trading.md). */
  silentMs(row) {
    const silent = Date.now() - (this.heardMs.get(row.account) ?? 0);
    return silent > SILENT_MS ? silent : 0;
  }

  stateOf(row) {
    return this.silentMs(row) ? "UNKNOWN" : row.state;
  }

  why(row) {
    const silent = this.silentMs(row);
    if (silent) return `was ${row.state}, silent for ${span(silent)}: treat as HALTED`;
    const cause = row.cause ? CAUSES[row.cause] : "";
    return [cause, row.reason].filter(Boolean).join(": ");
  }

  /** The worst state, and how many accounts have it: {state, count, of}; null where none is known. */
  worst() {
    const states = this.latest.records.map((row) => this.stateOf(row));
    const state = WORST.find((each) => states.includes(each));
    return state ? { state, count: states.filter((each) => each === state).length, of: states.length } : null;
  }
}
