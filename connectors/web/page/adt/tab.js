// Patient care: wards, visits and changes, in tabs of their own.

import { el } from "../dom.js";
import { Care } from "./care.js";
import { ChangesPanel } from "./changelist.js";
import { VisitsPanel } from "./visits.js";
import { WardsPanel } from "./wards.js";

/** Return the tabs. */
export function open(context) {
  const care = new Care(context);
  const names = new Names();
  const visits = new VisitsPanel(context, care);
  /** Open a visit in its tab. */
  const look = (visit) => {
    visits.look(visit);
    context.choose("adt-visits");
  };
  return [
    { id: "adt-wards", title: "Wards", panel: new WardsPanel(context, care, names.button(), look) },
    { id: "adt-visits", title: "Visits", panel: visits },
    { id: "adt-changes", title: "Changes", panel: new ChangesPanel(context, care, names.button(), look) },
  ];
}

/** The switch that shows patients' numbers; it is off whenever the page is opened. */
class Names {
  constructor() {
    this.buttons = [];
    this.show(false);
  }

  button() {
    const made = el("button", { type: "button", class: "small", "aria-pressed": "false", click: () => this.show(!this.shown) },
      "Show patients");
    this.buttons.push(made);
    return made;
  }

  show(whether) {
    this.shown = whether;
    document.documentElement.dataset.patients = whether ? "shown" : "hidden";
    for (const each of this.buttons) each.setAttribute("aria-pressed", String(whether));
  }
}
