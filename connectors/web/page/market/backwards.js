// Reading history back from a time. It tells the oldest records of a range first.

const WIDER = 6;
const WIDEST = WIDER ** 4;
const SPAN = 1 + WIDER + WIDER ** 2 + WIDER ** 3 + WIDEST;

/**
 * Yield {fromMs, untilMs, records} of one range after another, each before the one before it. `read(fromMs, untilMs)`
 * returns {records, next}. An empty range is followed by one six times as long. One that holds more than an answer
 * is read in shorter ones, since its newest records come first here; `stepMs` is the first. It ends at `oldestMs`.
 */
export async function* backwards(read, { untilMs, stepMs, oldestMs = Math.max(0, untilMs - SPAN * stepMs) }) {
  let wide = 1;
  while (untilMs > oldestMs) {
    const fromMs = Math.floor(Math.max(oldestMs, untilMs - wide * stepMs));
    const { records, next } = await read(fromMs, untilMs);
    if (next !== null && untilMs - fromMs > 1) {
      wide /= WIDER;
      continue;
    }
    yield { fromMs, untilMs, records };
    untilMs = fromMs;
    wide = records.length ? 1 : Math.min(wide * WIDER, WIDEST);
  }
}
