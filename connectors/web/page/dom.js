// Elements, cards and tables. Text goes in as text, never as markup.

import { NONE } from "./numbers.js";

/** Return a new element; `props` are attributes, or listeners where they are functions. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** Set text, and touch the page only where it differs. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Set an attribute, or take it away where `value` is null; only where it differs. */
export function setAttribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

let numbered = 0;

/** Return a section with a heading; `tools` stand beside it. */
export function card(title, { tools = [], span = false } = {}, ...children) {
  const id = `card-${(numbered += 1)}`;
  return el("section", { class: span ? "card span" : "card", "aria-labelledby": id },
    el("div", { class: "card-head" }, el("h2", { id }, title), el("div", { class: "tools" }, ...tools)),
    ...children);
}

/** Return a labelled select; `changed` is told the value. */
export function select(label, changed) {
  const id = `select-${(numbered += 1)}`;
  const node = el("select", { id, change: () => changed(node.value) });
  const field = el("div", { class: "field" }, el("label", { for: id }, label), node);
  return { field, node };
}

/** Give a select its options, keeping what is chosen where it is still there. */
export function setOptions(node, options) {
  const key = JSON.stringify(options);
  if (node.dataset.options === key) return;
  const chosen = node.value;
  node.replaceChildren(...options.map(([value, text]) => el("option", { value }, text)));
  if (options.some(([value]) => value === chosen)) node.value = chosen;
  node.dataset.options = key;
}

/** Figures with their names, as a description list; `set` takes {name: text or [text, tone]}. */
export class Figures {
  constructor(names) {
    this.values = new Map(names.map((name) => [name, el("dd", { class: "num value" }, NONE)]));
    this.node = el("dl", { class: "figures" },
      ...[...this.values].map(([name, value]) => el("div", {}, el("dt", {}, name), value)));
  }

  set(texts) {
    for (const [name, given] of Object.entries(texts)) {
      const [text, tone] = Array.isArray(given) ? given : [given, ""];
      const value = this.values.get(name);
      setText(value, text);
      setAttribute(value, "data-tone", tone || null);
    }
  }
}

/** Return a closed disclosure that holds the table of a chart. */
export function disclosed(summary, ...children) {
  return el("details", {}, el("summary", {}, summary), ...children);
}
