// Dead letters: what could not be used, why, and a button that sends one again.

import { card, el, setText } from "./dom.js";
import { count } from "./numbers.js";
import { Table } from "./table.js";
import { clock, dateTime, toMs } from "./times.js";

const SHOWN = 50;

export class DeadLetters {
  constructor({ api, feed, announce, outputs }) {
    this.systems = [...new Set(outputs.map(({ system }) => system))];
    this.api = api;
    this.feed = feed;
    this.announce = announce;
    this.note = el("p", { class: "note" });
    this.table = new Table("Dead letters, newest first", [
      { title: "Time (UTC)", text: (row) => clock(row.ms), hint: (row) => dateTime(row.ms) },
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
    const faults = [];
    const found = await Promise.all(this.systems.map(async (system) => {
      try {
        return { system, ...await this.api.get(`/dead/${system}`, { limit: SHOWN }) };
      } catch (error) {
        faults.push(`${system}: ${error.message}`);
        return { system, total: 0, complete: true, records: [] };
      }
    }));
    const rows = found.flatMap(({ system, records }) =>
      records.map((each) => ({ ...each, system, ms: toMs(each.timestamp_ns) })));
    rows.sort((a, b) => b.ms - a.ms);
    this.table.draw(rows);
    const total = found.reduce((sum, each) => sum + each.total, 0);
    const known = `${found.every((each) => each.complete) ? "" : "more than "}${count(total)}`;
    setText(this.note, faults.length
      ? faults.join("; ")
      : `${total > rows.length ? `The newest of ${known}, as` : "As"} of ${clock(this.feed.serverMs())} UTC`);
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
