// The band behind the candles: a rectangle for each bar, as wide as its place.

/** A primitive of Lightweight Charts; `set(entries)` takes what `band` of exceptions.js returns. */
export class Band {
  constructor() {
    this.entries = [];
    this.fill = this.edge = "transparent";
    const draw = (target) => target.useBitmapCoordinateSpace((scope) => this.draw(scope));
    const view = { zOrder: () => "bottom", renderer: () => ({ draw }) };
    this.paneViews = () => [view];
  }

  attached({ chart, series, requestUpdate }) {
    Object.assign(this, { chart, series, requestUpdate });
  }

  set(entries) {
    this.entries = entries;
    this.requestUpdate?.();
  }

  paint(fill, edge) {
    Object.assign(this, { fill, edge });
    this.requestUpdate?.();
  }

  updateAllViews() {}

  /** The prices have room for the band too. */
  autoscaleInfo() {
    const seen = this.seen();
    if (seen.length === 0) return null;
    const low = seen.reduce((least, each) => Math.min(least, each.lower), Infinity);
    const high = seen.reduce((most, each) => Math.max(most, each.upper), -Infinity);
    return { priceRange: { minValue: low, maxValue: high } };
  }

  /** Return the entries in sight: of thousands, some hundred. */
  seen() {
    const range = this.chart?.timeScale().getVisibleRange();
    return range ? this.entries.filter(({ startMs }) => startMs >= range.from * 1000 && startMs <= range.to * 1000) : [];
  }

  draw({ context, horizontalPixelRatio: wide, verticalPixelRatio: tall }) {
    const scale = this.chart.timeScale();
    const half = scale.options().barSpacing / 2;
    context.fillStyle = this.fill;
    context.strokeStyle = this.edge;
    context.lineWidth = Math.max(1, Math.floor(wide));
    for (const { startMs, lower, upper } of this.seen()) {
      const x = scale.timeToCoordinate(startMs / 1000);
      if (x === null) continue; // a time that is no place of the chart
      const [top, bottom] = [upper, lower].map((price) => Math.round(this.series.priceToCoordinate(price) * tall));
      const [left, right] = [x - half, x + half].map((at) => Math.round(at * wide));
      context.fillRect(left, top, right - left, bottom - top);
      context.beginPath();
      for (const y of [top, bottom]) {
        context.moveTo(left, y);
        context.lineTo(right, y);
      }
      context.stroke();
    }
  }
}
