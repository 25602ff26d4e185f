// Tabs by the ARIA pattern: arrows, Home and End move and select; one tab is in the tab order.

import { el } from "./dom.js";

/** Build a tab and a panel for each of {id, title}; `shown(id)` is called on every change. */
export class Tabs {
  constructor(list, main, tabs, shown) {
    this.shown = shown;
    this.entries = tabs.map(({ id, title }) => {
      const tab = el("button", {
        id: `tab-${id}`, type: "button", role: "tab", "aria-controls": `panel-${id}`,
        click: () => this.choose(id),
      }, title);
      const panel = el("div", {
        id: `panel-${id}`, role: "tabpanel", class: "panel", "aria-labelledby": `tab-${id}`,
      });
      list.append(tab);
      main.append(panel);
      return { id, tab, panel };
    });
    list.addEventListener("keydown", (event) => this.keyed(event));
  }

  panel(id) {
    return this.entries.find((entry) => entry.id === id).panel;
  }

  /** Show one tab's panel. */
  choose(id) {
    for (const { id: each, tab, panel } of this.entries) {
      const chosen = each === id;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      panel.hidden = !chosen;
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
