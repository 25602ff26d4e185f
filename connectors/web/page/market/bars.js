// Bars of one symbol and interval, each in its newest version. A corrected bar has a `version`, from 2 on.

import { Latest, Ring } from "../ring.js";
import { toMs } from "../times.js";

/** Return whether a trade is left in a bar: where all were cancelled, it has no prices. */
export const isTraded = ({ trades }) => trades > 0;

/** Return whether this version of a bar is newer than that one. */
export const isNewer = (bar, other) => (bar.version ?? 1) > (other.version ?? 1);

/** The newest `size` bars. `revision` counts the bars that were replaced by another version. */
export class Bars {
  constructor(size) {
    this.ring = new Ring(size, "start_ns");
    this.corrections = new Latest(size, ["symbol", "interval", "start_ns"]);
    this.revision = 0;
  }

  /** Take bars and corrected bars, in any order. A corrected bar alone is none: its time may not have been read. */
  add(records) {
    for (const bar of records) if (bar.version) this.correct(bar);
    const bars = records.filter(({ version }) => !version);
    this.ring.add(bars.map((bar) => ({ ...(this.corrections.get(bar) ?? bar), id: bar.id })));
  }

  correct(bar) {
    if (!isNewer(bar, this.corrections.get(bar) ?? {})) return;
    this.corrections.add([bar]);
    this.replace({ ...bar, id: `${bar.symbol}|${bar.interval}|${bar.start_ns}` });
  }

  /** Forget what begins before a time. */
  forgetBefore(ms) {
    const kept = this.ring.records.filter((bar) => toMs(bar.start_ns) >= ms);
    this.ring.clear();
    this.ring.add(kept);
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
    this.corrections.clear();
  }
}
