// Any output as a table: the last record of each key, or the newest records where there is no key.

import { card, el, select, setOptions, setText } from "./dom.js";
import { follow } from "./follow.js";
import { paced } from "./frames.js";
import { NONE, count, figure } from "./numbers.js";
import { Latest, Ring } from "./ring.js";
import { Table } from "./table.js";
import { compareNs, dateTime, toMs } from "./times.js";

const KEPT = 1000;
const SHOWN = 100;
const DRAW_MS = 250;
const SEALED = "Sealed: a token with the scope unseal shows the records.";

export class Outputs {
  constructor({ feed, outputs }) {
    this.feed = feed;
    this.outputs = new Map();
    this.end = null;
    this.visible = false;
    this.what = select("Output", () => this.follow());
    this.note = el("p", { class: "note", role: "status" }, "Loading …");
    this.place = el("div");
    this.changed = paced(() => this.draw(), DRAW_MS);
    this.node = el("div", { class: "grid" },
      card("Records", { tools: [this.what.field], span: true }, this.note, this.place));
    outputs.then((all) => this.offer(all), () => setText(this.note, "The list of outputs cannot be loaded."));
  }

  offer(outputs) {
    this.outputs = new Map(outputs.map((each) => [each.name, each]));
    setOptions(this.what.node, [["", "choose one"], ...outputs.map(({ name }) => [name, name])]);
    this.follow();
  }

  /** Follow an output only as long as somebody looks. */
  shown(whether) {
    this.visible = whether;
    if (whether) this.follow();
    else this.leave();
  }

  renewed() {
    if (this.visible) this.follow();
  }

  leave() {
    this.end?.();
    this.end = null;
  }

  follow() {
    this.leave();
    const output = this.outputs.get(this.what.node.value);
    this.place.replaceChildren();
    if (this.outputs.size) setText(this.note, output ? "" : "Choose an output to see its records as they come.");
    if (!output || !this.visible) return;
    this.output = output;
    this.sealed = false;
    this.records = output.key.length ? new Latest(KEPT, output.key) : new Ring(KEPT, output.time);
    this.table = tableOf(output, (record) => this.keyOf(record));
    this.place.dataset.system = output.system;
    this.place.replaceChildren(this.table.node);
    this.end = follow(this.feed, output.name, {
      store: this, table: this.table, changed: () => this.changed(),
    });
    this.changed();
  }

  replace(records) {
    this.look(records);
    if (this.records.replace) this.records.replace(records);
    else this.records.add(records);
  }

  add(records) {
    this.look(records);
    this.records.add(records);
  }

  retract(records) {
    this.records.retract?.(records);
  }

  clear() {
    this.records.clear();
  }

  /** Sealed records that the feed did not open are told apart by the hash of their key. */
  look(records) {
    if (this.sealed || !records.some((record) => record.sealed !== undefined)) return;
    this.sealed = true;
    if (this.output.key.length) this.records.fields = ["key"];
  }

  keyOf(record) {
    const fields = this.sealed ? ["key"] : this.output.key;
    return fields.length ? fields.map((name) => record[name]).join("|") : record.id;
  }

  draw() {
    const { time } = this.output;
    const rows = [...this.records.records].sort((a, b) => compareNs(b[time], a[time]));
    this.table.draw(rows);
    const held = rows.length > SHOWN ? `The newest ${SHOWN} of ${count(rows.length)}${rows.length === KEPT ? " or more" : ""}.` : "";
    setText(this.note, this.sealed ? SEALED : held);
  }
}

function tableOf({ name, key, time, columns, description }, keyOf) {
  const first = key.length ? key : ["id"];
  const names = Object.keys(columns).filter((each) => each !== "id");
  const shown = new Set([...first, time, ...names]);
  return new Table(`Records of ${name}. ${description}`, [...shown].map((each) => ({
    title: each === time ? "Time (UTC)" : each,
    number: ["int", "float"].includes(columns[each]) && !each.endsWith("_ns"),
    wrap: ["json", "document"].includes(columns[each]),
    text: (record) => (first[0] === each ? record[each] ?? record.key : textOf(each, record[each])),
  })), { key: keyOf, empty: "No records yet.", cap: SHOWN });
}

function textOf(name, value) {
  if (value === null || value === undefined) return NONE;
  if (name.endsWith("_ns")) return dateTime(toMs(value)).replace(" UTC", "");
  if (typeof value === "object") return JSON.stringify(value);
  return typeof value === "number" && !Number.isInteger(value) ? figure(value) : String(value);
}
