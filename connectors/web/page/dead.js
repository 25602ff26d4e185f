// Dead letters: what could not be used, why, and a button that sends one again.

import { card, el, setText } from "./dom.js";
import { count } from "./numbers.js";
import { Table } from "./table.js";
import { clock, dateTime, moment, toMs } from "./times.js";

const SHOWN = 50;

export class DeadLetters {
  constructor({ api, feed, announce, outputs }) {
    this.outputs = outputs;
    this.api = api;
    this.feed = feed;
    this.announce = announce;
    this.note = el("p", { class: "note" });
    this.table = new Table("Dead letters, newest first", [
      { title: "Time (UTC)", text: (row) => moment(row.ms, feed.serverMs()), hint: (row) => dateTime(row.ms) },
      { title: "System", text: (row) => row.system },
      { title: "Error", text: (row) => row.error },
      { title: "Reason", wrap: true, text: (row) => row.reason },
      { title: "Coordinates", text: (row) => row.coordinates },
      { title: "Bytes", number: true, text: (row) => count(row.length) },
      { title: "Retry", node: (row) => this.button(row) },
    ], { key: (row) => `${row.system} ${row.coordinates}`, empty: "No dead letters.", cap: SHOWN });
    const again = el("button", { type: "button", click: () => this.load() }, "Refresh");
    this.node = card("Dead letters", { tools: [this.note, again], span: true }, this.table.node);
  }

  /** Read the newest letters of every system; a topic is read on to its end, so only when asked. */
  async load() {
    setText(this.note, "Reading …");
    const systems = [...new Set((await this.outputs).map(({ system }) => system))];
    const found = await Promise.all(systems.map((system) => this.read(system)));
    const rows = found.flatMap(({ system, records }) =>
      records.map((each) => ({ ...each, system, ms: toMs(each.timestamp_ns) })));
    rows.sort((a, b) => b.ms - a.ms);
    const faults = found.filter(({ error }) => error);
    this.say(faults, found.map(({ missing }) => missing).filter(Boolean));
    this.table.draw(rows);
    const total = found.reduce((sum, each) => sum + each.total, 0);
    const known = `${found.every((each) => each.complete) ? "" : "more than "}${count(total)}`;
    const what = total > rows.length ? `The newest of ${known}, as` : "As";
    const parts = faults.length < found.length ? [`${what} of ${clock(this.feed.serverMs())} UTC`] : [];
    setText(this.note, [...parts, ...(rows.length ? reasons(faults) : [])].join("; "));
  }

  async read(system) {
    try {
      return { system, ...await this.api.get(`/dead/${system}`, { limit: SHOWN }) };
    } catch (error) {
      return { system, error, total: 0, complete: true, records: [] };
    }
  }

  /** "None" is only said of what was read, and a topic that is not there is named. */
  say(faults, missing) {
    if (faults.length === 0) this.table.loaded(missing.length ? `No dead letters. Not there yet: ${missing.join(", ")}.` : undefined);
    else this.table.failed(reasons(faults).join("; "), faults[0].error.kind);
  }

  button({ system, coordinates }) {
    const name = `Retry ${coordinates}`;
    const node = el("button", { type: "button", class: "small", "aria-label": name, click: () => this.retry(node, system, coordinates) }, "Retry");
    return el("div", { class: "buttons" }, node);
  }

  async retry(node, system, coordinates) {
    node.disabled = true;
    try {
      await this.api.post(`/dead/${system}/${coordinates.split("/").map(encodeURIComponent).join("/")}/retry`);
      setText(node, "Sent");
      node.setAttribute("aria-label", `Sent ${coordinates}`);
      this.announce(`${coordinates} was sent again.`);
    } catch (error) {
      node.disabled = false;
      node.title = error.message;
      setText(node, "Failed");
      this.announce(`${coordinates} was not sent: ${error.message}`);
    }
  }
}

const reasons = (faults) => faults.map(({ system, error }) => `${system}: ${error.message}`);
