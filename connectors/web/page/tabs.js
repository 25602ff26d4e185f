// Tabs by the ARIA pattern: arrows, Home and End move and select; one tab is in the tab order.

import { recolour } from "./charts.js";
import { el } from "./dom.js";
import { Health } from "./health.js";
import { Outputs } from "./outputs.js";

/**
 * Show the tabs of the systems and the general ones, and return them: {id, title, panel}. A panel has `node` and
 * shown(whether), and may have renewed(), for another token; those of a system are what `open(context)` of its
 * tab.js returns. The context gets `outputs`, a promise of their descriptions, and choose(id).
 */
export async function openTabs(context, rooms) {
  context.outputs = fetch("/static/outputs.json").then((answer) => answer.json());
  const tabs = [
    ...rooms.flatMap(({ open }) => open(context)),
    { id: "outputs", title: "Outputs", panel: new Outputs(context) },
    { id: "health", title: "Health", panel: new Health(context) },
  ];
  const [list, main] = ["tabs", "main"].map((id) => document.getElementById(id));
  const strip = new Tabs(list, main, tabs, (id) => {
    for (const { id: each, panel } of tabs) panel.shown(each === id);
  });
  context.choose = (id) => strip.choose(id);
  context.preferences.addEventListener("theme", recolour);
  const wanted = location.hash.slice(1);
  strip.choose(tabs.some(({ id }) => id === wanted) ? wanted : tabs[0].id);
  return tabs;
}

/** Build a tab for each of {id, title, panel: {node}}; `shown(id)` is called on every change. */
class Tabs {
  constructor(list, main, tabs, shown) {
    this.shown = shown;
    this.entries = tabs.map(({ id, title, panel }) => {
      const tab = el("button", {
        id: `tab-${id}`, type: "button", role: "tab", "aria-controls": `panel-${id}`,
        click: () => this.choose(id),
      }, title);
      const room = el("div", {
        id: `panel-${id}`, role: "tabpanel", class: "panel", "aria-labelledby": `tab-${id}`, hidden: true,
      }, panel.node);
      list.append(tab);
      main.append(room);
      return { id, tab, room };
    });
    list.addEventListener("keydown", (event) => this.keyed(event));
  }

  /** Show one tab's panel. */
  choose(id) {
    for (const { id: each, tab, room } of this.entries) {
      const chosen = each === id;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      room.hidden = !chosen;
    }
    history.replaceState(null, "", `#${id}`);
    this.shown(id);
  }

  keyed(event) {
    const at = this.entries.findIndex(({ tab }) => tab === document.activeElement);
    const last = this.entries.length - 1;
    const to = {
      ArrowRight: at === last ? 0 : at + 1,
      ArrowLeft: at === 0 ? last : at - 1,
      Home: 0,
      End: last,
    }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    this.entries[to].tab.focus();
    this.choose(this.entries[to].id);
  }
}
