// A table whose rows stay where they are while their values change, so that focus is kept.

import { el, setAttribute, setText } from "./dom.js";

/**
 * Columns are {title, text(row), number?, wrap?, tone?(row), hint?(row), node?(row)}; `node` is made once
 * for each row, and for as long as the row is there. `cap` is how many rows are shown.
 */
export class Table {
  constructor(caption, columns, { key, empty, cap = 100 }) {
    this.columns = columns;
    this.key = key;
    this.cap = cap;
    this.rows = new Map();
    this.body = el("tbody");
    this.empty = el("p", { class: "empty" }, empty);
    this.table = el("table", {},
      el("caption", { class: "unseen" }, caption),
      el("thead", {}, el("tr", {}, ...columns.map((column) =>
        el("th", { scope: "col", class: column.number ? "num" : "" }, column.title)))),
      this.body);
    this.scroll = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
      this.table);
    this.node = el("div", {}, this.scroll, this.empty);
    this.draw([]);
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
        const cell = el(index === 0 ? "th" : "td", { class: cellClass(column) });
        if (index === 0) cell.scope = "row";
        if (column.node) cell.append(column.node(record));
        return cell;
      }));
      this.rows.set(key, row);
    }
    this.columns.forEach((column, index) => {
      const cell = row.children[index];
      if (column.text) setText(cell, column.text(record));
      if (column.tone) setAttribute(cell, "data-tone", column.tone(record) || null);
      if (column.hint) setAttribute(cell, "title", column.hint(record));
    });
    return row;
  }
}

function cellClass({ number, wrap }) {
  return ["value", ...(number ? ["num"] : []), ...(wrap ? ["wrap"] : [])].join(" ");
}
