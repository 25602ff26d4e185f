// What is known of patient care, kept from four channels in bounded tables. Nothing is drawn here.

import { follow } from "../follow.js";
import { paced } from "../frames.js";
import { Latest } from "../ring.js";
import { toMs } from "../times.js";
import { anomalyChange, bedChange, encounterChange, grouped, lastOf, visitChanges } from "./changes.js";
import { isBed, wardOf } from "./words.js";

const BEDS = 20_000;
const VISITS = 20_000;
const ANOMALIES = 5_000;
const CHANGES = 1_000;
const FIRST = 100;
const TELL_MS = 250;
const QUIET_MS = 600_000;
const HERE = ["planned", "in-progress", "onleave"];
const KEY = ["visit", "patient", "domain"];
const SEALED = "the records are sealed. A token with the scope unseal shows them; this one can only count them";

/**
 * Event "changed", at most four times a second. `beds`, `visits` (timelines), `encounters` (of those who are here or
 * planned) and `anomalies` are tables; `places` are all beds that any record has named; `changes` the newest first.
 */
export class Care extends EventTarget {
  constructor({ feed, pulse }) {
    super();
    this.pulse = pulse;
    this.newestMs = null;
    this.places = new Places();
    this.changes = [];
    this.waiting = [];
    this.count = 0;
    this.tell = paced(() => this.flush(), TELL_MS);
    this.beds = this.follow(feed, "adt.beds", BEDS, ["location", "domain"], {
      each: ({ location, domain }) => this.places.add(location, domain), change: bedChange,
    });
    this.visits = this.follow(feed, "adt.location_visits", VISITS, KEY, {
      each: ({ stays, domain }) => stays.forEach(({ location }) => isBed(location) && this.places.add(location, domain)),
      visits: true,
    });
    this.encounters = this.follow(feed, `adt.encounters?status=${HERE.join(",")}`, VISITS, KEY, {
      stays: ({ status }) => HERE.includes(status), change: encounterChange,
    });
    this.anomalies = this.follow(feed, "adt.anomalies", ANOMALIES, ["anomaly"], { change: anomalyChange });
  }

  follow(feed, channel, size, fields, how) {
    const table = new Kept(size, fields, how, (event) => this.waiting.push(event), (ns) => this.heard(ns));
    follow(feed, channel, { store: table, table, changed: () => this.tell() });
    return table;
  }

  /** A hospital may be quiet at night; the flow is not called still for it. */
  heard(ns) {
    const ms = toMs(ns);
    if (this.newestMs !== null && ms <= this.newestMs) return;
    this.newestMs = ms;
    this.pulse.progress("adt", ms, QUIET_MS);
  }

  flush() {
    const events = this.waiting;
    this.waiting = [];
    const ofVisits = events.filter(({ how }) => how.visits);
    const others = events.filter(({ how }) => how.change).map(({ how, before, after }) => how.change(before, after));
    this.take([...visitChanges(ofVisits), ...grouped(others.filter(Boolean))]);
    if (!this.begun && this.visits.kind === "empty") this.begin();
    this.dispatchEvent(new Event("changed"));
  }

  /** What the newest timelines tell last is the first thing to be read. */
  begin() {
    this.begun = true;
    const newest = [...this.visits.records].sort((a, b) => toMs(b.ts_ns) - toMs(a.ts_ns)).slice(0, FIRST);
    this.changes.push(...newest.map((record) => ({ ...lastOf(record), id: (this.count += 1) })));
  }

  take(changes) {
    if (changes.length === 0) return;
    for (const each of changes) each.id = (this.count += 1);
    this.changes = [...changes.reverse(), ...this.changes].slice(0, CHANGES);
  }

  /** Return how a visit stands; undefined where it is neither planned nor here. */
  encounterOf(record) {
    return this.encounters.get(record);
  }
}

/** All beds that were ever named, at most `BEDS`: a bed of which nothing is told any more is still there. */
class Places {
  constructor() {
    this.byKey = new Map();
    this.sorted = null;
  }

  add(location, domain) {
    const key = `${location}|${domain}`;
    if (this.byKey.has(key) || this.byKey.size >= BEDS) return;
    this.byKey.set(key, { key, location, domain });
    this.sorted = null;
  }

  /** Return the beds of each ward, [name, places], both sorted; the domain is named where there are several. */
  get wards() {
    if (this.sorted) return this.sorted;
    const wards = new Map();
    const several = new Set([...this.byKey.values()].map(({ domain }) => domain)).size > 1;
    for (const place of this.byKey.values()) {
      const name = several ? `${place.domain} ${wardOf(place.location)}` : wardOf(place.location);
      wards.set(name, [...(wards.get(name) ?? []), place]);
    }
    const { compare } = new Intl.Collator("en", { numeric: true });
    for (const places of wards.values()) places.sort((a, b) => compare(a.location, b.location));
    this.sorted = [...wards].sort(([a], [b]) => compare(a, b));
    return this.sorted;
  }
}

/** The last record of each key, what is known where there is none, and what has changed since the first. */
class Kept extends Latest {
  constructor(size, fields, how, changed, heard) {
    super(size, fields);
    Object.assign(this, { how, changed, heard, kind: "loading", text: "Loading …" });
    this.sealed = new Set();
  }

  loading() {
    Object.assign(this, { kind: "loading", text: "Loading …" });
  }

  loaded() {
    if (!this.sealed.size) Object.assign(this, { kind: "empty", text: "" });
  }

  failed(reason, kind = "failed") {
    Object.assign(this, { kind, text: reason });
  }

  /** A snapshot tells no changes: what lies between the two is not known. */
  replace(records) {
    this.clear();
    this.put(records, () => {});
  }

  add(records) {
    this.put(records, this.changed);
  }

  put(records, changed) {
    const open = records.filter((record) => record.sealed === undefined);
    for (const { key } of records.filter((record) => record.sealed !== undefined)) this.sealed.add(key);
    if (this.sealed.size) this.failed(`${this.sealed.size} ${this.sealed.size === 1 ? "entry" : "entries"}, but ${SEALED}.`, "forbidden");
    for (const record of open) {
      const before = this.get(record);
      this.how.each?.(record);
      this.heard(record.ts_ns);
      super.add([record]);
      if (this.how.stays?.(record) === false) this.byKey.delete(this.keyOf(record));
      changed({ how: this.how, before, after: record });
    }
  }

  retract(retractions) {
    for (const { key, ts_ns: ns } of retractions) {
      this.sealed.delete(key);
      const before = this.byKey.get(key);
      this.byKey.delete(key);
      if (ns !== undefined) this.heard(ns);
      if (before) this.changed({ how: this.how, before, after: undefined, ns });
    }
  }

  clear() {
    super.clear();
    this.sealed.clear();
  }
}
