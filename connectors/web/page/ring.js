// Bounded memory: a page that is open all day holds no more than one that was opened now.

import { compareNs } from "./times.js";

/** The newest `size` records, in the order of a time field, each id once. */
export class Ring {
  constructor(size, timeField) {
    this.size = size;
    this.timeField = timeField;
    this.records = [];
    this.ids = new Set();
  }

  /** Take records in any order; return whether any was new. */
  add(records) {
    let sorted = true;
    let changed = false;
    for (const record of records) {
      if (this.ids.has(record.id)) continue;
      const last = this.records.at(-1);
      if (last && compareNs(record[this.timeField], last[this.timeField]) < 0) sorted = false;
      this.records.push(record);
      this.ids.add(record.id);
      changed = true;
    }
    if (!sorted) this.records.sort((a, b) => compareNs(a[this.timeField], b[this.timeField]));
    for (const old of this.records.splice(0, Math.max(0, this.records.length - this.size))) {
      this.ids.delete(old.id);
    }
    return changed;
  }

  get last() {
    return this.records.at(-1);
  }

  clear() {
    this.records = [];
    this.ids.clear();
  }
}

/**
 * The last record of each key, at most `size` keys; the key that was quiet longest goes first.
 * `fields` are those of the output's table key.
 */
export class Latest {
  constructor(size, fields) {
    this.size = size;
    this.fields = fields;
    this.byKey = new Map();
  }

  /** Hold these records alone: a snapshot has every key that there still is. */
  replace(records) {
    this.clear();
    this.add(records);
  }

  /** Take the keys of retractions away. */
  retract(retractions) {
    for (const { key } of retractions) this.byKey.delete(key);
  }

  add(records) {
    for (const record of records) {
      const key = this.keyOf(record);
      this.byKey.delete(key);
      this.byKey.set(key, record);
    }
    while (this.byKey.size > this.size) this.byKey.delete(this.byKey.keys().next().value);
  }

  keyOf(record) {
    return this.fields.map((name) => record[name]).join("|");
  }

  /** Return the record with the same key as this one; undefined where there is none. */
  get(record) {
    return this.byKey.get(this.keyOf(record));
  }

  get records() {
    return [...this.byKey.values()];
  }

  clear() {
    this.byKey.clear();
  }
}
