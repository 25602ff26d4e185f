// How old each figure is. One timer draws all labels, once a second.

import { setAttribute, setText } from "./dom.js";
import { age, dateTime } from "./times.js";

const ages = new Set();
let now = () => Date.now();

/** Draw all ages each second, by the clock `serverMs()`. */
export function startAges(serverMs) {
  now = serverMs;
  setInterval(() => ages.forEach((each) => each.draw()), 1000);
}

export const nowMs = () => now();

/** A label beside a figure: how old it is; "" where it has no time. */
export class Age {
  constructor(node) {
    this.node = node;
    this.atMs = null;
    ages.add(this);
  }

  set(atMs) {
    if (atMs === this.atMs) return;
    this.atMs = atMs;
    this.draw();
  }

  draw() {
    if (this.node.offsetParent === null) return; // nobody sees it
    const known = typeof this.atMs === "number";
    setText(this.node, known ? age(this.atMs, now()) : "");
    setAttribute(this.node, "title", known ? `as of ${dateTime(this.atMs)}` : null);
  }
}
