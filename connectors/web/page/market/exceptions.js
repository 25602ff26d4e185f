// When bars end, the band that VaR puts around each, the bars that left it, and gaps.

/**
 * Set `endMs` of bars (sorted, with startMs). Windows that are cut at the opens and closes of an exchange end before
 * their interval does: where a forecast was made of the bar, or the next one begins. `times` are those of all forecasts
 * in ms, sorted. What nothing tells of is taken for whole.
 */
export function endBars(bars, lengthMs, times) {
  let at = 0;
  bars.forEach((bar, place) => {
    while (times[at] <= bar.startMs) at += 1;
    bar.endMs = Math.min(bar.startMs + lengthMs, times[at] ?? Infinity, bars[place + 1]?.startMs ?? Infinity);
  });
}

/**
 * Return [{startMs, lower, upper, low, high}] of the bars (sorted, with startMs and endMs) for which a forecast was in
 * force: that made at the end of the bar before, around its close. `vars` is end in ms -> VaR as a fraction. The last
 * entry is of the bar that is not closed yet; it has no low and high.
 */
export function band(bars, vars) {
  const found = [];
  bars.forEach((bar, at) => {
    const value = vars.get(bar.endMs);
    if (value == null) return;
    const next = bars[at + 1];
    found.push({
      startMs: next ? next.startMs : bar.endMs, lower: bar.close * (1 - value), upper: bar.close * (1 + value),
      low: next?.low, high: next?.high,
    });
  });
  return found;
}

/** Return the entries of a band that its bar left: {startMs, side}, one for each bar and side. */
export function breaches(found) {
  return found.flatMap(({ startMs, lower, upper, low, high }) => [
    ...(low < lower ? [{ startMs, side: "below" }] : []),
    ...(high > upper ? [{ startMs, side: "above" }] : []),
  ]);
}

const LONG = 20;
const SHORT = 3;

/**
 * Return the times (ms) of the empty places that a chart leaves between two bars: one for each bar that is missing,
 * of a long gap three.
 */
export function places(before, after, lengthMs) {
  const missing = Math.round((after.startMs - before.endMs) / lengthMs);
  const count = missing > LONG ? SHORT : Math.max(0, missing);
  return Array.from({ length: count }, (_, at) => before.endMs + at * lengthMs);
}

/** Return the gaps among bars: {count, missing}, how many there are and how many bars they are long. */
export function gaps(bars, lengthMs) {
  let [count, missing] = [0, 0];
  for (let at = 1; at < bars.length; at += 1) {
    const empty = Math.round((bars[at].startMs - bars[at - 1].endMs) / lengthMs);
    if (empty > 0) {
      count += 1;
      missing += empty;
    }
  }
  return { count, missing };
}
