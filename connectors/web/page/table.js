// A table whose rows stay where they are while their values change, so that focus is kept.

import { el, setAttribute, setText } from "./dom.js";

const KINDS = { forbidden: "Not allowed: ", unreadable: "Unreadable: ", failed: "Not known: " };

/**
 * Columns are {title, text(row), number?, wrap?, name?, pinned?, tone?(row), hint?(row), node?(row), share?(row)}:
 * a `name` may be long and is cut, a `pinned` column stays in sight, `node` is made once for each row and for as long
 * as the row is there, `share` (0 to 1) is drawn as a bar. `cap` is how many rows are shown. Until `loaded` or
 * `failed` is called the table says that it is loading; without rows it then says `empty`, or what went wrong.
 */
export class Table {
  constructor(caption, columns, { key, empty, cap = 100 }) {
    this.columns = columns;
    this.key = key;
    this.cap = cap;
    this.words = empty;
    this.rows = new Map();
    this.body = el("tbody");
    this.empty = el("p", { class: "empty", "data-kind": "loading" }, "Loading …");
    this.table = el("table", {},
      el("caption", { class: "unseen" }, caption),
      el("thead", {}, el("tr", {}, ...columns.map((column) =>
        el("th", { scope: "col", class: classesOf(column).join(" ") }, column.title)))),
      this.body);
    this.scroll = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
      this.table);
    this.node = el("div", {}, this.scroll, this.empty);
    this.draw([]);
  }

  /** What is asked for has been asked anew. */
  loading() {
    this.say("loading", "Loading …");
  }

  /** All that there is has come: without rows, there are none, and `words` say so. */
  loaded(words = this.words) {
    this.say("empty", words);
  }

  /** Nothing can be shown: `kind` is forbidden, unreadable or failed. */
  failed(reason, kind = "failed") {
    this.say(kind, KINDS[kind] + reason);
  }

  /** Say what another table says. */
  sayAs({ empty }) {
    this.say(empty.dataset.kind, empty.textContent);
  }

  say(kind, text) {
    this.empty.dataset.kind = kind;
    setText(this.empty, text);
  }

  /** Show these rows in this order. */
  draw(records) {
    const shown = records.slice(0, this.cap);
    const keys = new Set(shown.map(this.key));
    for (const [key, row] of this.rows) {
      if (!keys.has(key)) {
        row.remove();
        this.rows.delete(key);
      }
    }
    let at = this.body.firstChild;
    for (const record of shown) {
      const row = this.row(record);
      if (row === at) at = at.nextSibling;
      else this.body.insertBefore(row, at);
    }
    this.scroll.hidden = shown.length === 0;
    this.empty.hidden = shown.length > 0;
  }

  row(record) {
    const key = this.key(record);
    let row = this.rows.get(key);
    if (!row) {
      row = el("tr", {}, ...this.columns.map((column, index) => {
        const cell = el(index === 0 ? "th" : "td", { class: ["value", ...classesOf(column)].join(" ") });
        if (index === 0) cell.scope = "row";
        if (column.node) cell.append(column.node(record));
        return cell;
      }));
      this.rows.set(key, row);
    }
    this.columns.forEach((column, index) => {
      const cell = row.children[index];
      if (column.text) setText(cell, column.text(record));
      if (column.share) cell.style.setProperty("--share", `${100 * column.share(record)}%`);
      if (column.tone) setAttribute(cell, "data-tone", column.tone(record) || null);
      if (column.hint) setAttribute(cell, "title", column.hint(record));
    });
    return row;
  }
}

function classesOf({ number, wrap, share, pinned, name }) {
  const all = { num: number, wrap, share, pinned, name };
  return Object.keys(all).filter((each) => all[each]);
}
