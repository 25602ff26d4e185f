// Charts with Plotly, in the page's colours, with nothing that needs a mouse.

import { paced } from "./frames.js";

const CONFIG = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: "reset" };
const REDRAW_MS = 1000;
const dark = matchMedia("(prefers-color-scheme: dark)");
const charts = new Set();

dark.addEventListener("change", () => charts.forEach((chart) => chart.redraw()));

/** Return a colour of style.css, such as colour("accent"). */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function axis(more) {
  return {
    gridcolor: colour("line"), linecolor: colour("line"), zerolinecolor: colour("line"),
    automargin: true, fixedrange: true, ...more,
  };
}

/** One chart; `draw(traces)` returns the traces, so that a change of colours can draw it again. */
export class Chart {
  constructor(host, label, { x = {}, y = {}, height = 300, ...layout } = {}) {
    this.host = host;
    this.options = { x, y, height, layout };
    this.traces = null;
    host.classList.add("chart");
    host.setAttribute("role", "img");
    host.setAttribute("aria-label", label);
    charts.add(this);
    this.soon = paced(() => this.redraw(), REDRAW_MS); // Plotly lays out everything anew each time
  }

  /** Draw what `traces()` returns: Plotly traces; `layout()` what changes of the layout. */
  draw(traces, layout = () => ({})) {
    this.traces = traces;
    this.layout = layout;
    this.soon();
  }

  redraw() {
    if (!this.traces || !globalThis.Plotly || this.host.offsetParent === null) return;
    const { x, y, height, layout } = this.options;
    globalThis.Plotly.react(this.host, this.traces(), {
      height,
      margin: { l: 8, r: 8, t: 8, b: 8 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("muted") },
      showlegend: false,
      hovermode: "x unified",
      hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("text") } },
      ...layout,
      ...this.layout(),
      xaxis: axis({ ...x, ...this.layout().xaxis }),
      yaxis: axis({ ...y, ...this.layout().yaxis }),
    }, CONFIG);
  }
}
