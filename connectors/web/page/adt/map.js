// The map of the wards: a block for each, a cell for each bed. Cells stay while their values change.

import { el, setAttribute, setText } from "../dom.js";
import { dateTime, here, span } from "../times.js";
import { placeText, short } from "./words.js";

const WORDS = { taken: "taken", free: "free", cleaning: "cleaning", isolated: "isolated", closed: "closed", told: "occupied?" };
const KEYS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"];

export class WardMap {
  /** `chosen(bed)` is called where a bed is chosen by mouse or keyboard. */
  constructor(chosen) {
    this.chosen = chosen;
    this.blocks = new Map();
    this.node = el("div", { class: "wards" });
  }

  /** Show these wards, of each the beds that `passes(bed)`. */
  draw(wards, passes, nowMs) {
    const names = new Set(wards.map(({ name }) => name));
    for (const [name, block] of this.blocks) {
      if (names.has(name)) continue;
      block.node.remove();
      this.blocks.delete(name);
    }
    let at = this.node.firstChild;
    for (const ward of wards) {
      let block = this.blocks.get(ward.name);
      if (!block) this.blocks.set(ward.name, block = new Block(ward.name, this.chosen));
      if (block.node === at) at = at.nextSibling;
      else this.node.insertBefore(block.node, at);
      block.draw(ward, passes, nowMs);
    }
  }
}

/** A ward: its figures, and its beds, of which one is in the tab order; arrows move between them. */
class Block {
  constructor(name, chosen) {
    this.chosen = chosen;
    this.cells = new Map();
    this.free = el("span", { class: "ward-free num value" });
    this.text = el("span", { class: "ward-text num value" });
    this.bar = el("div", { class: "ward-bar", "aria-hidden": "true" });
    this.beds = el("div", {
      class: "beds", role: "group", "aria-label": `Beds of ${name}: arrows move`, keydown: (event) => this.keyed(event),
    });
    this.node = el("section", { class: "ward", "aria-label": `Ward ${name}` },
      el("div", { class: "ward-head" }, el("h3", {}, name), this.free, this.text), this.bar, this.beds);
  }

  draw({ beds, counts }, passes, nowMs) {
    const { taken, free } = counts;
    setText(this.free, free ? `${free} free` : "full");
    setAttribute(this.free, "data-tone", free ? null : "bad");
    const others = ["cleaning", "isolated", "closed", "told"].filter((state) => counts[state])
      .map((state) => `, ${counts[state]} ${WORDS[state]}`);
    setText(this.text, `${taken} of ${beds.length} taken${others.join("")}`);
    this.bar.style.setProperty("--share", `${(100 * taken) / beds.length}%`);
    const shown = beds.filter(passes);
    const keys = new Set(shown.map(({ key }) => key));
    for (const [key, cell] of this.cells) {
      if (keys.has(key)) continue;
      cell.node.remove();
      this.cells.delete(key);
    }
    let at = this.beds.firstChild;
    for (const bed of shown) {
      let cell = this.cells.get(bed.key);
      if (!cell) this.cells.set(bed.key, cell = new Cell((cell) => this.choose(cell)));
      if (cell.node === at) at = at.nextSibling;
      else this.beds.insertBefore(cell.node, at);
      cell.draw(bed, nowMs);
    }
    if (!this.inOrder?.node.isConnected) this.order([...this.cells.values()][0]);
  }

  choose(cell) {
    this.order(cell);
    this.chosen(cell.bed);
  }

  /** Let a cell be the one that Tab reaches. */
  order(cell) {
    if (this.inOrder) this.inOrder.node.tabIndex = -1;
    this.inOrder = cell;
    if (cell) cell.node.tabIndex = 0;
  }

  keyed(event) {
    if (!KEYS.includes(event.key)) return;
    event.preventDefault();
    const nodes = [...this.beds.children];
    const from = nodes.indexOf(this.inOrder.node);
    const to = Math.max(0, Math.min(nodes.length - 1, this.target(event.key, nodes, from)));
    this.order([...this.cells.values()].find(({ node }) => node === nodes[to]));
    nodes[to].focus();
  }

  target(key, nodes, from) {
    const top = nodes[0].offsetTop;
    const below = nodes.findIndex((node) => node.offsetTop > top);
    const across = below < 0 ? nodes.length : below;
    return { ArrowLeft: from - 1, ArrowRight: from + 1, ArrowUp: from - across, ArrowDown: from + across, Home: 0,
      End: nodes.length - 1 }[key];
  }
}

/** A line of buttons: how many beds each ward has free. One that is pressed is shown alone. */
export class Strip {
  constructor(chosen) {
    this.chosen = chosen;
    this.buttons = new Map();
    this.node = el("div", { class: "strip", role: "group", "aria-label": "Free beds by ward: one that is pressed is shown alone" });
  }

  draw(wards, chosen) {
    const names = wards.map(({ name }) => name);
    if ([...this.buttons.keys()].join() !== names.join()) {
      this.buttons = new Map(names.map((name) => [name, this.buttons.get(name) ?? this.button(name)]));
      this.node.replaceChildren(...[...this.buttons.values()].map(({ node }) => node));
    }
    for (const { name, beds, counts } of wards) {
      const { node, free } = this.buttons.get(name);
      setText(free, counts.free ? `${counts.free} free` : "full");
      setAttribute(free, "data-tone", counts.free ? null : "bad");
      setAttribute(node, "aria-pressed", String(name === chosen));
      setAttribute(node, "title", `${counts.taken} of ${beds.length} taken`);
    }
  }

  button(name) {
    const free = el("span", { class: "num value" });
    return { free, node: el("button", { type: "button", class: "small", click: () => this.chosen(name) }, `${name} `, free) };
  }
}

class Cell {
  constructor(chosen) {
    [this.name, this.state, this.mark] = ["bed-name", "bed-state num value", "bed-mark"].map((name) => el("span", { class: name }));
    this.patient = el("span", { class: "bed-patient patient num value" });
    this.node = el("button", { type: "button", class: "bed", tabindex: "-1", click: () => chosen(this) },
      this.name, this.mark, this.state, this.patient);
    this.said = "";
  }

  draw(bed, nowMs) {
    this.bed = bed;
    const { state, sinceMs, patients, odd, away } = bed;
    const age = sinceMs === null ? "" : span(nowMs - sinceMs);
    const said = [state, age, bed.patient, patients, odd.length, away].join("|");
    if (said === this.said) return;
    this.said = said;
    const [ward, ...place] = bed.location.split("^");
    setText(this.name, place.join(" "));
    setText(this.state, state === "taken" ? (away ? "on leave" : age) : WORDS[state]);
    setText(this.patient, bed.patient ? short(bed.patient) : "");
    setText(this.mark, patients > 1 ? `‼ ${patients}` : odd.length ? "!" : "");
    setAttribute(this.node, "data-state", state);
    setAttribute(this.node, "data-odd", patients > 1 ? "twice" : odd.length ? "odd" : null);
    const what = [placeText(bed.location), WORDS[state], ...(away ? ["patient on leave"] : []),
      ...(patients > 1 ? [`${patients} patients are told to be in it`] : []), ...(odd.length ? ["its visit has a contradiction"] : []),
      ...(sinceMs === null ? [] : [`since ${here(sinceMs, nowMs)}`])].join(", ");
    setAttribute(this.node, "aria-label", what);
    setAttribute(this.node, "title", sinceMs === null ? what : `${what} (${dateTime(sinceMs)})`);
  }
}
