// Elements, cards and tables. Text goes in as text, never as markup.

import { Age } from "./ages.js";
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

/**
 * Figures with their names and ages, as a description list. `set` takes {name: text} or {name: {text, tone,
 * atMs, old}}: `atMs` is what the figure is of, `old` says that it is older than it should be.
 */
export class Figures {
  constructor(names) {
    this.parts = new Map(names.map((name) => {
      const [value, label] = [el("span", { class: "num value" }, NONE), el("span", { class: "age num" })];
      return [name, { value, label, age: new Age(label) }];
    }));
    this.node = el("dl", { class: "figures" }, ...[...this.parts].map(([name, { value, label }]) =>
      el("div", {}, el("dt", {}, name), el("dd", {}, value, label))));
  }

  set(given) {
    for (const [name, found] of Object.entries(given)) {
      const { text, tone, atMs, old } = typeof found === "string" ? { text: found } : found;
      const { value, age } = this.parts.get(name);
      setText(value, text);
      setAttribute(value, "data-tone", tone || null);
      setAttribute(value, "data-old", old ? "" : null);
      age.set(atMs ?? null);
    }
  }
}

/** Return a closed disclosure that holds the table of a chart. */
export function disclosed(summary, ...children) {
  return el("details", {}, el("summary", {}, summary), ...children);
}
