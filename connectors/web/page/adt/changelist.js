// The tab Changes: what has changed, the newest first; corrections of the past beside what was said before.

import { nowMs } from "../ages.js";
import { card, el, select, setAttribute, setOptions, setText } from "../dom.js";
import { count } from "../numbers.js";
import { Table } from "../table.js";
import { dateTime, here } from "../times.js";
import { KINDS } from "./changes.js";
import { classText, placeText, short } from "./words.js";

const SHOWN = 100;

export class ChangesPanel {
  constructor(context, care, names, look) {
    Object.assign(this, { care, look, visible: false, held: null });
    this.ward = select("Ward", () => this.draw());
    this.kind = select("Kind", () => this.draw());
    setOptions(this.kind.node, [["", "all"], ...Object.entries(KINDS).map(([kind, [text]]) => [kind, text.toLowerCase()])]);
    this.pause = el("button", { type: "button", class: "small", "aria-pressed": "false", click: () => this.hold(this.held === null) }, "Pause");
    this.note = el("p", { class: "note", role: "status" });
    this.table = new Table("Changes, newest first", [
      { title: "Recorded", text: (row) => here(row.atMs, nowMs()), hint: (row) => dateTime(row.atMs) },
      { title: "Change", text: (row) => KINDS[row.kind][0], tone: (row) => KINDS[row.kind][1] ?? "" },
      { title: "Visit", node: (row) => el("span", { class: "links" }, ...row.visits.map((each) => this.link(each))) },
      { title: "What", wrap: true, node: (row) => whatNode(row) },
    ], { key: (row) => row.id, empty: "Nothing has changed yet.", cap: SHOWN });
    this.node = el("div", { class: "stack changes", "data-system": "adt" },
      card("Changes", { tools: [this.ward.field, this.kind.field, names, this.pause] }, this.note, this.table.node));
    care.addEventListener("changed", () => this.draw());
  }

  shown(whether) {
    this.visible = whether;
    if (whether) this.draw();
  }

  /** Keep what is shown as it is, or go on. */
  hold(whether) {
    this.held = whether ? this.care.changes : null;
    setText(this.pause, whether ? "Go on" : "Pause");
    setAttribute(this.pause, "aria-pressed", String(whether));
    this.draw();
  }

  link({ visit, patient, domain }) {
    return el("button", { type: "button", class: "link num", click: () => this.look({ visit, patient, domain }) }, short(visit));
  }

  draw() {
    if (!this.visible) return;
    const { visits } = this.care;
    if (visits.kind === "empty") this.table.loaded();
    else if (visits.kind !== "loading") this.table.failed(visits.text, visits.kind);
    const all = this.held ?? this.care.changes;
    const wards = [...new Set(all.flatMap((each) => [...each.wards]))].sort();
    setOptions(this.ward.node, [["", "all"], ...wards.map((each) => [each, each])]);
    const [ward, kind] = [this.ward.node.value, this.kind.node.value];
    const rows = all.filter((each) => (!ward || each.wards.has(ward)) && (!kind || each.kind === kind));
    this.table.draw(rows);
    const newer = this.held ? this.care.changes.findIndex(({ id }) => id === this.held[0]?.id) : 0;
    const missed = newer < 0 ? "more than the page keeps" : count(newer);
    const kept = rows.length > SHOWN ? `The newest ${SHOWN} of ${count(rows.length)}.` : "";
    setText(this.note, this.held ? `Paused: ${missed} newer wait.` : kept);
  }
}

/** Return in words what has changed; rows that hold no more are struck out. */
export function whatNode(row) {
  const when = row.whenMs === null ? "" : `, ${here(row.whenMs, nowMs())}`;
  const { from, to } = row;
  const texts = {
    admission: () => `to ${placeText(to)}${when}`,
    move: () => `${placeText(from)} → ${placeText(to)}${when}`,
    class: () => `${placeText(to)}: ${classText(row.class)}${when}`,
    discharge: () => `from ${placeText(from)}${when}`,
    plan: () => "a stay is planned",
    cancelled: () => "the visit does not take place",
    leave: () => "the bed is kept",
    back: () => "in the bed again",
    merge: () => "the visit belongs to another number of a patient",
    withdrawn: () => "there is no such visit any more",
    correction: () => `version ${row.version} says another past`,
  };
  const text = row.text ?? texts[row.kind]();
  const patients = (row.patients ?? []).map(short).join(" → ");
  return el("span", { class: "what" }, text,
    patients || row.patient ? el("span", { class: "patient num" }, ` patient ${patients || short(row.patient)}`) : "",
    ...(row.old ?? []).map((stay) => el("s", { class: "stay-text" }, el("span", { class: "unseen" }, "no longer: "), stayText(stay))),
    ...(row.fresh ?? []).map((stay) => el("ins", { class: "stay-text" }, el("span", { class: "unseen" }, "now: "), stayText(stay))));
}

export function stayText({ location, class: letter, start, end, inferred }) {
  const to = end === null ? "now" : here(Date.parse(end), nowMs());
  return `${placeText(location)}, ${classText(letter)}, ${here(Date.parse(start), nowMs())} to ${to}${inferred ? ", inferred" : ""}`;
}
