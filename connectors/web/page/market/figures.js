// Which risk figure is shown: every number carries its method, so one of them is always chosen.

import { select, setOptions } from "../dom.js";
import { intervalMs } from "../times.js";

export const keyOf = (risk) => [risk.method, risk.interval, risk.confidence, risk.horizon].join("|");

/** Return a figure's name, such as "ewma-normal, 99 %, 1 × 1s". */
export function figureName(risk) {
  return `${risk.method}, ${Number((risk.confidence * 100).toFixed(3))} %, ${risk.horizon} × ${risk.interval}`;
}

/** Figures with components come first, then those of the shortest interval: there is most to see. */
function compare([keyA, a], [keyB, b]) {
  const parts = (risk) => (Object.keys(risk.components ?? {}).length > 0 ? 0 : 1);
  const length = (risk) => intervalMs(risk.interval) ?? Number.MAX_VALUE; // a session has no fixed one
  return parts(a) - parts(b) || length(a) - length(b) || (keyA < keyB ? -1 : 1);
}

/** A choice among the figures of one scope; `changed()` is called when another is chosen. */
export class FigureChoice {
  constructor(label, changed) {
    this.known = new Map();
    const { field, node } = select(label, changed);
    this.field = field;
    this.node = node;
    this.field.hidden = true;
  }

  /** Get to know the figures among these records; return those of the chosen one. */
  add(records) {
    for (const risk of records) {
      if (!this.known.has(keyOf(risk))) this.known.set(keyOf(risk), risk);
    }
    const sorted = [...this.known].sort(compare);
    setOptions(this.node, sorted.map(([key, risk]) => [key, figureName(risk)]));
    this.field.hidden = this.known.size < 2;
    return records.filter((risk) => this.shows(risk));
  }

  shows(risk) {
    return keyOf(risk) === this.node.value;
  }

  clear() {
    this.known.clear();
    setOptions(this.node, []);
    this.field.hidden = true;
  }
}
