// The tab Visits: a patient's visits, found by a number; timelines with the messages behind them.

import { nowMs } from "../ages.js";
import { card, el, setText } from "../dom.js";
import { follow } from "../follow.js";
import { paced } from "../frames.js";
import { count } from "../numbers.js";
import { Latest } from "../ring.js";
import { whatNode } from "./changelist.js";
import { timeline } from "./timeline.js";
import { placeText, short, visitKey } from "./words.js";

const MATCHES = 12;
const SHOWN = 20;
const DRAW_MS = 250;
const KEY = ["visit", "patient", "domain"];
const HINT = "Type the number of a visit or a patient, or choose a bed in the tab Wards.";

export class VisitsPanel {
  constructor({ feed }, care) {
    Object.assign(this, { feed, care, visible: false, wanted: null, ends: [] });
    this.visits = new Held();
    this.encounters = new Held();
    this.input = el("input", {
      id: "adt-number", type: "search", autocomplete: "off", spellcheck: "false", placeholder: "such as V0000100", input: () => this.search(),
    });
    this.found = el("div", { class: "matches" });
    this.note = el("p", { class: "note", role: "status" }, HINT);
    this.place = el("div", { class: "stack" });
    const form = el("form", { role: "search", class: "field", submit: (event) => this.first(event) },
      el("label", { for: "adt-number" }, "Visit or patient"), this.input, el("button", { type: "submit", class: "small" }, "Look"));
    this.node = el("div", { class: "stack", "data-system": "adt" },
      card("Visits of a patient", { tools: [form] }, this.note, this.found), this.place);
    this.changed = paced(() => this.draw(), DRAW_MS);
    care.addEventListener("changed", () => this.changed());
  }

  shown(whether) {
    this.visible = whether;
    if (whether) this.draw();
  }

  /** Show all visits of a patient, this one first. */
  look({ visit, patient, domain }) {
    this.wanted = { visit, patient, domain };
    this.said = null;
    this.found.replaceChildren();
    for (const end of this.ends) end();
    for (const each of [this.visits, this.encounters]) each.clear();
    const filter = `patient=${encodeURIComponent(patient)}&domain=${encodeURIComponent(domain)}`;
    this.ends = [["location_visits", this.visits], ["encounters", this.encounters]].map(([output, store]) =>
      follow(this.feed, `adt.${output}?${filter}`, { store, table: store, changed: () => this.changed() }));
    this.changed();
  }

  search() {
    const matches = this.matches();
    this.found.replaceChildren(...matches.map((each) => el("button", { type: "button", class: "small num", click: () => this.look(each) },
      `${short(each.visit)} · patient ${short(each.patient)}${each.stays ? ` · ${placeText(each.stays.at(-1).location)}` : ""}`)));
    if (this.input.value.trim() && matches.length === 0) setText(this.note, this.none());
    else if (!this.wanted) setText(this.note, HINT);
  }

  first(event) {
    event.preventDefault();
    const [match] = this.matches();
    if (match) this.look(match);
    else setText(this.note, this.none());
  }

  none() {
    const { kind, text } = this.care.visits;
    if (kind === "forbidden") return `Not allowed: ${text}`;
    if (kind === "loading") return "The visits are still being loaded.";
    return `No visit and no patient has a number that begins so, among the ${count(this.care.visits.byKey.size)} newest visits.`;
  }

  /** Return visits whose number, or whose patient's, begins as typed; the number itself first. */
  matches() {
    const typed = this.input.value.trim().toUpperCase();
    if (!typed) return [];
    const found = [];
    for (const table of [this.care.visits, this.care.encounters]) {
      for (const record of table.byKey.values()) {
        const [visit, patient] = [record.visit.toUpperCase(), record.patient.toUpperCase()];
        if (!visit.startsWith(typed) && !patient.startsWith(typed)) continue;
        if (found.some((each) => visitKey(each) === visitKey(record))) continue;
        found.push(record);
        if (found.length >= 10 * MATCHES) break;
      }
    }
    const rank = ({ visit, patient }) => ([visit, patient].some((each) => short(each).toUpperCase() === typed) ? 0 : 1);
    return found.sort((a, b) => rank(a) - rank(b) || (a.visit < b.visit ? -1 : 1)).slice(0, MATCHES);
  }

  draw() {
    if (!this.visible || !this.wanted) return;
    const keys = new Map([...this.visits.records, ...this.encounters.records].map((record) => [visitKey(record), record]));
    const wanted = visitKey(this.wanted);
    const shown = [...keys].sort(([a, x], [b, y]) => (b === wanted) - (a === wanted) || (x.visit < y.visit ? 1 : -1)).slice(0, SHOWN);
    const state = [this.visits, this.encounters].find(({ kind }) => kind !== "empty") ?? this.visits;
    const none = state.kind === "empty" ? "There is no such visit any more: it was withdrawn, or its patient got another number." : state.text;
    setText(this.note, shown.length ? `Patient ${short(this.wanted.patient)}: ${count(keys.size)} ${keys.size === 1 ? "visit" : "visits"}.` : none);
    const parts = shown.map(([key, record]) => this.partsOf(key, record));
    // What somebody reads stays as it is until it is another one; its lengths grow by the minute.
    const minute = this.place.contains(document.activeElement) ? "" : Math.floor(nowMs() / 60_000);
    const said = JSON.stringify([minute, parts.map(({ visit, encounter, anomalies, changes }) =>
      [visit?.id, encounter?.id, anomalies.map(({ id }) => id), changes.map(({ id }) => id)])]);
    if (said === this.said) return;
    this.said = said;
    const open = new Set([...this.place.querySelectorAll("details[open]")].map((node) => node.closest("[data-visit]").dataset.visit));
    this.place.replaceChildren(...parts.map((each) => {
      const node = timeline({ ...each, nowMs: nowMs(), changes: each.changes.map(whatNode) });
      node.dataset.visit = each.record.visit;
      node.querySelector("details").open = open.has(each.record.visit);
      return node;
    }));
  }

  partsOf(key, record) {
    const isOf = ({ visit, domain }) => visit === record.visit && domain === record.domain;
    return {
      record, visit: this.visits.byKey.get(key), encounter: this.encounters.byKey.get(key),
      anomalies: this.care.anomalies.records.filter(isOf),
      changes: this.care.changes.filter((each) => each.old && each.visits.some(isOf)),
    };
  }
}

/** The last records of a channel, and what is known where there are none. */
class Held extends Latest {
  constructor() {
    super(1000, KEY);
    this.loading();
  }

  loading() {
    Object.assign(this, { kind: "loading", text: "Loading …" });
  }

  loaded() {
    Object.assign(this, { kind: "empty", text: "" });
  }

  failed(reason, kind) {
    Object.assign(this, { kind, text: reason });
  }
}
