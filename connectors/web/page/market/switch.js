// The head's part of market: the trading state, the kill switch and its taking back, in sight on every tab.

import { OTHER, confirm } from "../dialogs.js";
import { el, setText } from "../dom.js";
import { clock } from "../times.js";
import { ALL, named, spoken, toneOf } from "./accounts.js";

const QUESTIONS = {
  kill: {
    title: "Halt trading?", action: "Kill", danger: true, label: "Whose",
    text: "Orders will be rejected until trading is resumed. Cancels still pass.",
  },
  resume: {
    title: "Resume trading?", action: "Resume", danger: false, label: "Whose",
    text: "The kill switch is taken back. What else holds an account, such as a breaker, stays.",
  },
};

export class Switch {
  constructor(context, accounts) {
    this.context = context;
    this.accounts = accounts;
    accounts.send = (what, account) => this.send(what, account);
    this.badge = el("button", { type: "button", class: "badge", click: () => context.choose("market-orders") });
    this.answer = el("p", { class: "answer", role: "status" });
    context.switches.append(
      this.badge,
      el("button", { type: "button", class: "danger", click: () => this.send("kill", ALL) }, "Kill trading"),
      el("button", { type: "button", click: () => this.send("resume", ALL) }, "Resume"),
      this.answer);
    performance.mark("switches");
    accounts.addEventListener("changed", () => this.show());
    this.show();
  }

  show() {
    const worst = this.accounts.worst();
    const text = worst ? told(worst) : EMPTY[this.accounts.empty.kind];
    setText(this.badge, text);
    this.badge.dataset.tone = worst ? toneOf(worst.state) : "";
    this.badge.title = worst ? "The worst state of all accounts: show them" : this.accounts.empty.text;
    if (worst) this.context.flags.set("market", text, toneOf(worst.state));
  }

  /** Ask for a reason, then send the event; what comes of it the flow tells. */
  async send(what, account) {
    const known = this.accounts.rows.map((row) => row.account).filter((each) => each !== ALL);
    const answer = await confirm({
      ...QUESTIONS[what], subject: account,
      subjects: [[ALL, named(ALL)], ...known.map((each) => [each, each]), [OTHER, "Another account …"]],
      typed: (subject) => (subject === ALL ? ALL : ""),
    });
    if (answer) await this.post(what, { account: answer.subject, reason: answer.reason });
  }

  /** Send an event. It is refused for an account that is not known, unless somebody says that it is new. */
  async post(what, event) {
    try {
      await this.context.api.post(`/trading/${what}`, event);
      this.say(`${clock(this.context.feed.serverMs())} UTC: ${what} of ${spoken(event.account)} is on its way.`);
    } catch (error) {
      this.say(`${what} failed: ${error.message}`, true);
      if (error.status === 404) await this.makeKnown(what, event, error.message);
    }
  }

  /** The name may be mistyped, so nothing is ticked beforehand. */
  async makeKnown(what, { account, reason }, why) {
    const { action, danger, label } = QUESTIONS[what];
    const answer = await confirm({
      title: `${action} an account that is not known?`, text: `${account}: ${why}.`, action, danger, label,
      subject: account, subjects: [[account, account]], typed: () => "", reason,
      agreed: `${account} is the right name: make it known to trading`,
    });
    if (answer) await this.post(what, { account, reason: answer.reason, new: true });
  }

  say(text, bad = false) {
    this.answer.dataset.tone = bad ? "bad" : "";
    setText(this.answer, text);
  }
}

const EMPTY = {
  loading: "Trading: loading", empty: "Trading: no state told", forbidden: "Trading: not allowed",
  failed: "Trading: not known",
};

function told({ state, count, of }) {
  return count === of ? state : `${state} ${count} of ${of}`;
}
