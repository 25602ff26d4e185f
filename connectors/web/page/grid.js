// A table of many rows whose values change all the time: only the rows in sight exist.

import { el, setAttribute, setText } from "./dom.js";

const ROW_PX = 26;
const SPARE = 4;
const PAGE = 10;

/**
 * Columns are {title, text(row), value(row), number?, tone?(row), old?(row), hint?, tip?(row)}; a click on a title
 * sorts by `value`, and again turns it round. `hint` explains the title, `tip` a cell. `chosen(key)` is called where a row is chosen, by mouse or by keyboard.
 */
export class Grid {
  constructor(caption, columns, { key, chosen, empty }) {
    Object.assign(this, { columns, key, onChosen: chosen, rows: [], chosenKey: null, pool: [] });
    this.order = { column: columns[0], sign: 1 };
    this.heads = columns.map((column) => this.head(column));
    this.body = el("tbody");
    this.above = el("tr", { "aria-hidden": "true" });
    this.below = el("tr", { "aria-hidden": "true" });
    this.body.append(this.above, this.below);
    this.empty = el("p", { class: "empty", "data-kind": "loading" }, "Loading …");
    this.words = empty;
    this.table = el("table", { role: "grid", "aria-label": caption }, el("colgroup", {},
      ...columns.map(({ title }) => el("col", { class: `col-${title.toLowerCase()}` }))),
    el("thead", {}, el("tr", {}, ...this.heads)), this.body);
    this.scroll = el("div", {
      class: "scroll rows", tabindex: "0", role: "region", "aria-label": `${caption}: arrows choose`,
      keydown: (event) => this.keyed(event), scroll: () => this.render(),
    }, this.table);
    this.node = el("div", {}, this.scroll, this.empty);
    new ResizeObserver(() => this.render()).observe(this.scroll);
    this.mark();
  }

  head(column) {
    const button = el("button", { type: "button", class: "sort", click: () => this.sortBy(column) }, column.title);
    return el("th", { scope: "col", class: column.number ? "num" : "", title: column.hint }, button);
  }

  sortBy(column) {
    const sign = this.order.column === column ? -this.order.sign : column.number ? -1 : 1;
    this.order = { column, sign };
    this.mark();
    this.draw(this.rows);
  }

  mark() {
    this.columns.forEach((column, at) => {
      const sorted = column === this.order.column ? (this.order.sign > 0 ? "ascending" : "descending") : "none";
      this.heads[at].setAttribute("aria-sort", sorted);
    });
  }

  say(kind, text = this.words) {
    this.empty.dataset.kind = kind;
    setText(this.empty, text);
  }

  /** Show these rows, sorted; what has no value comes last. */
  draw(rows) {
    const { column: { value }, sign } = this.order;
    const keyed = rows.map((row) => ({ row, by: value(row) ?? null }));
    keyed.sort((a, b) => (a.by === b.by ? 0 : a.by === null ? 1 : b.by === null ? -1 : a.by < b.by ? -sign : sign));
    this.rows = keyed.map(({ row }) => row);
    this.scroll.hidden = rows.length === 0;
    this.empty.hidden = rows.length > 0;
    this.table.setAttribute("aria-rowcount", rows.length + 1);
    this.render();
  }

  render() {
    const first = Math.max(0, Math.floor(this.scroll.scrollTop / ROW_PX) - SPARE);
    const room = Math.ceil(this.scroll.clientHeight / ROW_PX) + 2 * SPARE;
    const shown = this.rows.slice(first, first + room);
    this.above.style.height = `${first * ROW_PX}px`;
    this.below.style.height = `${(this.rows.length - first - shown.length) * ROW_PX}px`;
    while (this.pool.length < shown.length) this.pool.push(this.line());
    this.pool.forEach((line, at) => this.fill(line, shown[at], first + at));
  }

  line() {
    const cells = this.columns.map(({ number }, at) =>
      el(at === 0 ? "th" : "td", { class: number ? "num value" : "value", ...(at === 0 ? { scope: "row" } : {}) }));
    const line = { node: el("tr", {}, ...cells), cells, said: cells.map(() => ({})), key: null };
    line.node.addEventListener("click", () => this.choose(line.key));
    this.body.insertBefore(line.node, this.below);
    return line;
  }

  fill(line, row, at) {
    line.node.hidden = row === undefined;
    if (row === undefined) return;
    line.key = this.key(row);
    const chosen = line.key === this.chosenKey;
    if (line.at !== at) line.node.setAttribute("aria-rowindex", (line.at = at) + 2);
    if (line.chosen !== chosen) line.node.setAttribute("aria-selected", (line.chosen = chosen));
    this.columns.forEach((column, index) => {
      const [cell, said] = [line.cells[index], line.said[index]];
      const [text, tone, old] = [column.text(row), column.tone?.(row) ?? "", column.old?.(row) ?? false];
      if (said.text !== text) cell.textContent = said.text = text;
      if (said.tone !== tone) cell.dataset.tone = said.tone = tone;
      if (column.tip) setAttribute(cell, "title", column.tip(row));
      if (said.old !== old) cell.toggleAttribute("data-old", said.old = old);
    });
  }

  /** Choose a row and show it as chosen; `tell` says whether somebody chose it here. */
  choose(key, tell = true) {
    this.chosenKey = key;
    this.render();
    if (tell) this.onChosen(key);
  }

  keyed(event) {
    const at = this.rows.findIndex((row) => this.key(row) === this.chosenKey);
    const last = this.rows.length - 1;
    const to = {
      ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + PAGE, PageUp: at - PAGE, Home: 0, End: last,
    }[event.key];
    if (event.target !== this.scroll || to === undefined || last < 0) return;
    event.preventDefault();
    const next = Math.min(last, Math.max(0, to));
    const top = next * ROW_PX;
    const seen = this.scroll.clientHeight - 2 * ROW_PX;
    if (top < this.scroll.scrollTop) this.scroll.scrollTop = top;
    else if (top > this.scroll.scrollTop + seen) this.scroll.scrollTop = top - seen;
    this.choose(this.key(this.rows[next]));
  }
}
