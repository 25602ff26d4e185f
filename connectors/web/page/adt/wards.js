// The tab Wards: the map of the beds, who waits for one, and what needs a call.

import { nowMs } from "../ages.js";
import { Figures, card, el, select, setOptions, setText } from "../dom.js";
import { count, percent } from "../numbers.js";
import { Table } from "../table.js";
import { dateTime, here, span } from "../times.js";
import { callsOf, waitingOf, wardsOf } from "./beds.js";
import { Strip, WardMap } from "./map.js";
import { askText, placeText, short, strangeText, timeMs } from "./words.js";

const SHOWN = 100;
const AGES_MS = 15_000;
const PASSES = {
  all: () => true,
  free: ({ state }) => state === "free",
  odd: ({ patients, odd }) => patients > 1 || odd.length > 0,
};
const KINDS = { forbidden: "Not allowed: ", failed: "Not known: ", unreadable: "Unreadable: " };

export class WardsPanel {
  constructor(context, care, names, look) {
    Object.assign(this, { context, care, look, visible: false });
    this.zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    this.figures = new Figures(["Free", "Taken", "Cleaning", "Closed", "Booked twice", "Wait for a bed", "Last message"]);
    this.which = select("Show", () => this.draw());
    setOptions(this.which.node, [["all", "all beds"], ["free", "free beds"], ["odd", "contradictions"]]);
    this.ward = select("Ward", () => this.draw());
    this.strip = new Strip((name) => this.choose(name));
    this.map = new WardMap((bed) => this.chosen(bed));
    this.empty = el("p", { class: "empty" }, "Loading …");
    this.of = select("Of", () => this.draw());
    setOptions(this.of.node, [["now", "who is here"], ["all", "all"]]);
    this.calls = new Table("What needs a call", [
      { title: "What, and whom to ask", wrap: true, hint: ({ record }) => record.field, node: (row) => callNode(row) },
      { title: "Visit", node: ({ visits }) => el("span", { class: "links" }, ...visits.map((each) => this.link(each))) },
      { title: "Since", wrap: true, text: ({ record }) => sinceText(record), hint: ({ record }) => record.start },
    ], { key: (row) => `${row.key} ${row.visits.length} ${row.now}`, empty: "", cap: SHOWN });
    this.waiting = new Table("Who waits for a bed, the longest first", [
      { title: "Where, and why", wrap: true, node: (row) => lines(placeText(row.location), `${row.why}${row.long ? ", over 4 h" : ""}`) },
      { title: "Waits", number: true, text: (row) => span(nowMs() - row.sinceMs), tone: (row) => (row.long ? "bad" : ""), hint: (row) => `since ${dateTime(row.sinceMs)}` },
      { title: "Since", text: (row) => here(row.sinceMs, nowMs()) },
      { title: "Visit", node: (row) => this.link(row) },
    ], { key: (row) => `${row.visit} ${row.domain} ${row.sinceMs} ${row.long}`, empty: "", cap: SHOWN });
    this.node = el("div", { class: "stack", "data-system": "adt" },
      card("Now", { tools: [el("p", { class: "note" }, `Times are those of ${this.zone}.`)] }, this.figures.node, this.strip.node),
      el("div", { class: "grid" },
        card("Beds", { tools: [this.ward.field, this.which.field, names] }, legend(), this.empty, this.map.node),
        el("div", { class: "stack first beside" },
          card("Needs a call", { tools: [this.of.field] }, this.calls.node),
          card("Waits for a bed", {}, this.waiting.node))));
    care.addEventListener("changed", () => this.draw());
    setInterval(() => this.draw(), AGES_MS); // how long somebody waits grows without a record
  }

  shown(whether) {
    this.visible = whether;
    if (whether) this.draw();
  }

  link({ visit, patient, domain }) {
    return el("button", { type: "button", class: "link num", click: () => this.look({ visit, patient, domain }) }, short(visit));
  }

  chosen({ visit, patient, domain }) {
    if (visit) this.look({ visit, patient, domain });
  }

  /** Show one ward alone, or all again. */
  choose(name) {
    this.ward.node.value = this.ward.node.value === name ? "" : name;
    this.draw();
  }

  draw() {
    const { care } = this;
    const wards = wardsOf(care);
    const calls = callsOf(care);
    this.flag(calls);
    if (!this.visible) return;
    const now = nowMs();
    setOptions(this.ward.node, [["", "all"], ...wards.map(({ name }) => [name, name])]);
    const [ward, passes] = [this.ward.node.value, PASSES[this.which.node.value]];
    const shown = wards.filter(({ name, beds }) => (!ward || name === ward) && beds.some(passes));
    this.strip.draw(wards, ward);
    this.map.draw(shown, passes, now);
    this.sayEmpty(wards, shown);
    const waiting = waitingOf(care, now);
    this.tell(wards, calls, waiting);
    say(this.calls, care.anomalies, "Nothing: no contradiction is open.");
    this.calls.draw(calls.filter((each) => each.now || this.of.node.value === "all"));
    say(this.waiting, [care.visits, care.encounters].find(({ kind }) => kind !== "empty") ?? care.visits,
      "Nobody waits for a bed.");
    this.waiting.draw(waiting);
  }

  /** The title of the page says how many beds are booked twice. */
  flag(calls) {
    if (this.care.anomalies.kind !== "empty") return;
    const twice = calls.filter(({ now, record }) => now && record.kind === "double_booked").length;
    this.context.flags.set("adt", twice ? `‼ ${twice} booked twice` : "No bed booked twice", twice ? "warn" : "good");
  }

  tell(wards, calls, waiting) {
    const known = wards.length > 0;
    const total = (name) => wards.reduce((sum, { counts }) => sum + counts[name], 0);
    const beds = wards.reduce((sum, each) => sum + each.beds.length, 0);
    const twice = calls.filter(({ now, record }) => now && record.kind === "double_booked").length;
    const of = (value, tone) => ({ text: known ? count(value) : "–", tone: known ? tone : "" });
    const long = waiting.filter((each) => each.long).length;
    this.figures.set({
      Free: of(total("free")),
      Taken: known ? `${count(total("taken"))} of ${count(beds)} (${percent(total("taken") / beds, 0)})` : "–",
      Cleaning: of(total("cleaning")),
      Closed: of(total("closed")),
      "Booked twice": of(twice, twice ? "bad" : ""),
      "Wait for a bed": { text: known ? `${waiting.length}${long ? `, ${long} over 4 h` : ""}` : "–", tone: long ? "bad" : "" },
      "Last message": this.care.newestMs === null ? "–" : here(this.care.newestMs, nowMs()),
    });
  }

  sayEmpty(wards, shown) {
    const { kind, text } = this.care.beds;
    this.empty.hidden = shown.length > 0;
    this.empty.dataset.kind = kind;
    const none = wards.length ? "No bed is like that." : "No bed is known yet: none was named in a message.";
    setText(this.empty, kind === "empty" ? none : (KINDS[kind] ?? "") + text);
  }
}

function callNode({ record, now }) {
  const where = record.location ? `: ${placeText(record.location)}` : "";
  return lines(strangeText(record.kind) + where, `Ask ${askText(record.kind)}`, now ? "bad" : null);
}

function lines(text, hint, tone = null) {
  return el("span", {}, el("span", { class: "call", "data-tone": tone }, text), " ", el("span", { class: "hint" }, hint));
}

function say(table, { kind, text }, none) {
  if (kind === "empty") table.loaded(none);
  else if (kind === "loading") table.loading();
  else table.failed(text, kind);
}

function sinceText({ start, end }) {
  const [from, to] = [timeMs(start), timeMs(end)];
  if (from === null) return "–";
  return to === null ? here(from, nowMs()) : `${here(from, nowMs())} to ${here(to, nowMs())}`;
}

function legend() {
  const states = [["free", "free"], ["taken", "taken, since"], ["cleaning", "being cleaned"], ["closed", "closed"]];
  return el("p", { class: "bed-legend", "aria-hidden": "true" },
    ...states.map(([state, text]) => el("span", {}, el("span", { class: "bed-key", "data-state": state }), text)),
    el("span", {}, el("span", { class: "bed-key", "data-state": "taken", "data-odd": "twice" }, "‼"), "booked twice"),
    el("span", {}, el("span", { class: "bed-key", "data-state": "taken", "data-odd": "odd" }, "!"), "contradiction"));
}
