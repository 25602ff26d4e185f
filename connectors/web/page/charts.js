// Charts with Lightweight Charts, in the page's colours. The library is loaded when the first is seen.

const LIBRARY = "/static/lightweight-charts.js";
const charts = new Set();
let loading = null;
let colours = new Map();

/** Load the library, once; nothing else of the page waits for it. */
export function library() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = LIBRARY;
    script.onload = () => resolve(globalThis.LightweightCharts);
    script.onerror = () => {
      loading = null;
      reject(new Error("The charts cannot be loaded."));
    };
    document.head.append(script);
  });
  return loading;
}

/** Return a colour of style.css as the theme has it now, such as colour("accent"). */
export function colour(name) {
  if (!colours.has(name)) {
    const probe = document.createElement("i");
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    colours.set(name, getComputedStyle(probe).color);
    probe.remove();
  }
  return colours.get(name);
}

/** Give all charts the colours of another theme. */
export function recolour() {
  colours = new Map();
  for (const chart of charts) chart.paint();
}

function look() {
  const line = { color: colour("line") };
  return {
    layout: {
      background: { color: "transparent" }, textColor: colour("muted"), attributionLogo: false,
      fontFamily: getComputedStyle(document.body).fontFamily,
    },
    grid: { vertLines: line, horzLines: line },
    rightPriceScale: { borderColor: colour("line") },
    timeScale: { borderColor: colour("line") },
  };
}

/**
 * A chart over time, made when it is first seen. `build(chart, library)` adds the series, `paint(colour)` gives
 * them their colours, `fill()` their data; until the library is there, both wait.
 */
export class TimeChart {
  constructor(label, { height = 240, options = {}, build, paint, fill }) {
    Object.assign(this, { options, build, paintSeries: paint, fill, chart: null, failed: false });
    this.host = document.createElement("div");
    this.host.className = "chart";
    this.host.style.height = `${height}px`;
    this.host.setAttribute("role", "img");
    this.host.setAttribute("aria-label", label);
  }

  /** Draw what there is, if it is seen. */
  async draw() {
    if (this.host.offsetParent === null) return;
    if (this.chart === null && !this.making) await this.make();
    if (this.chart !== null) this.fill();
  }

  async make() {
    this.making = true;
    try {
      const found = await library();
      this.chart = found.createChart(this.host, { autoSize: true, ...look() });
      this.chart.applyOptions(this.options);
      this.build(this.chart, found);
      charts.add(this);
      this.paint();
    } catch (error) {
      this.host.textContent = error.message;
    }
    this.making = false;
  }

  paint() {
    this.chart.applyOptions(look());
    this.paintSeries(colour);
  }
}
