// Bars of one symbol and interval, each in its newest version. A corrected bar has a `version`, from 2 on.

import { Ring } from "../ring.js";

/** Return whether a trade is left in a bar: where all were cancelled, it has no prices. */
export const isTraded = ({ trades }) => trades > 0;

/** Return whether this version of a bar is newer than that one. */
export const isNewer = (bar, other) => (bar.version ?? 1) > (other.version ?? 1);

/** The newest `size` bars. `revision` counts the bars that were replaced by another version. */
export class Bars {
  constructor(size) {
    this.ring = new Ring(size, "start_ns");
    this.revision = 0;
  }

  /** Take bars and corrected bars, in any order. */
  add(records) {
    const bars = records.map((bar) => ({ ...bar, id: `${bar.symbol}|${bar.interval}|${bar.start_ns}` }));
    this.ring.add(bars);
    for (const bar of bars) if (bar.version) this.replace(bar);
  }

  replace(bar) {
    const at = this.ring.records.findIndex(({ id }) => id === bar.id);
    if (at < 0 || !isNewer(bar, this.ring.records[at])) return;
    this.ring.records[at] = bar;
    this.revision += 1;
  }

  get records() {
    return this.ring.records;
  }

  clear() {
    this.ring.clear();
  }
}
