// The chart of one symbol: candles, volume, the band, and marks.

import { TimeChart } from "../charts.js";
import { clock, date } from "../times.js";
import { Band } from "./band.js";
import { places } from "./exceptions.js";

const NEAR_START = 30;
const SHAPES = {
  below: { position: "belowBar", shape: "arrowUp", color: "bad" },
  above: { position: "aboveBar", shape: "arrowDown", color: "good" },
  gap: { position: "belowBar", shape: "square", color: "muted", size: 0.4 },
};

export class Candles {
  /** `early()` is called where somebody has scrolled back to the first bar that is there. */
  constructor(early) {
    this.given = { bars: [], band: [], marks: [], lengthMs: 1000, revision: 0 };
    this.drawn = { count: 0 };
    this.zone = new Band();
    this.early = early;
    this.chart = new TimeChart("Candles of the symbol with the band of VaR and its breaches", {
      height: 360,
      options: {
        timeScale: {
          timeVisible: true, secondsVisible: true, rightOffset: 4, barSpacing: 7,
          allowShiftVisibleRangeOnWhitespaceReplacement: true, // the place of the next bar is there before it
        },
        localization: { timeFormatter: (time) => `${date(time * 1000)} ${clock(time * 1000)}` },
        crosshair: { mode: 0 },
      },
      build: (chart, library) => this.build(chart, library),
      paint: (colour) => this.paint(colour),
      fill: () => this.fill(),
    });
  }

  build(chart, { CandlestickSeries, HistogramSeries, createSeriesMarkers }) {
    this.volume = chart.addSeries(HistogramSeries, {
      priceScaleId: "volume", priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false,
    });
    chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.86, bottom: 0 } });
    this.candles = chart.addSeries(CandlestickSeries, {});
    this.candles.priceScale().applyOptions({ scaleMargins: { top: 0.08, bottom: 0.18 } });
    this.candles.attachPrimitive(this.zone);
    this.marks = createSeriesMarkers(this.candles, []);
    chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range && range.from < NEAR_START && this.drawn.count) this.early();
    });
  }

  paint(colour) {
    const [up, down] = [colour("good"), colour("bad")];
    this.candles.applyOptions({
      upColor: up, downColor: down, borderUpColor: up, borderDownColor: down, wickUpColor: up, wickDownColor: down,
    });
    this.volume.applyOptions({ color: colour("volume") });
    this.zone.paint(colour("band"), colour("band-line"));
    this.colour = colour;
    this.showMarks();
  }

  /** Draw bars (sorted, with startMs and endMs; `revision` tells of changed ones), the band and marks: {startMs, side}. */
  draw(given) {
    this.given = given;
    this.chart.draw();
  }

  /** Begin anew with what follows: another symbol or interval. */
  clear() {
    this.drawn = { count: 0 };
    this.fresh = true;
  }

  fill() {
    const { bars, band, lengthMs, revision } = this.given;
    const { count } = this.drawn;
    if (count > 0 && this.isDrawn(bars)) this.append(bars.slice(count - 1), lengthMs);
    else this.replace(bars, lengthMs);
    const [first, last] = [bars[0], bars.at(-1)];
    this.drawn = { count: bars.length, firstMs: first?.startMs, lastMs: last?.startMs, endMs: last?.endMs, revision };
    this.zone.set(band);
    this.showMarks();
    if (this.fresh && bars.length) {
      this.chart.chart.timeScale().resetTimeScale();
      this.fresh = false;
    }
  }

  /** Return whether these bars begin with those that are drawn; then what is behind them may be appended. */
  isDrawn(bars) {
    const { count, firstMs, lastMs, endMs, revision } = this.drawn;
    const last = bars[count - 1];
    return revision === this.given.revision && bars[0]?.startMs === firstMs && last?.startMs === lastMs && last.endMs === endMs;
  }

  append([last, ...more], lengthMs) {
    if (more.length === 0) return;
    let before = last;
    for (const bar of more) {
      for (const ms of places(before, bar, lengthMs)) this.candles.update({ time: ms / 1000 });
      this.candles.update(candle(bar));
      this.volume.update(volume(bar));
      before = bar;
    }
    this.candles.update({ time: before.endMs / 1000 }); // the place of the next bar, for its band
  }

  replace(bars, lengthMs) {
    const points = bars.flatMap((bar, at) => [
      ...(at ? places(bars[at - 1], bar, lengthMs).map((ms) => ({ time: ms / 1000 })) : []), candle(bar),
    ]);
    if (bars.length) points.push({ time: bars.at(-1).endMs / 1000 });
    this.candles.setData(points);
    this.volume.setData(bars.map(volume));
  }

  showMarks() {
    const marks = this.given.marks.map(({ startMs, side }) =>
      ({ time: startMs / 1000, ...SHAPES[side], color: this.colour(SHAPES[side].color) }));
    this.marks.setMarkers(marks);
  }
}

const candle = ({ startMs, open, high, low, close }) => ({ time: startMs / 1000, open, high, low, close });
const volume = ({ startMs, volume: value }) => ({ time: startMs / 1000, value });
