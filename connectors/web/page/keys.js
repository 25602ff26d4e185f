// Keys that are pressed anew: a key that is held down repeats itself, and confirms nothing.

const down = new Set();

addEventListener("keydown", (event) => down.add(event.code), true);
addEventListener("keyup", (event) => down.delete(event.code), true);
addEventListener("blur", () => down.clear());

/** Keeps from an element what a held key says: repetitions, and keys that were down before. */
export class FreshKeys {
  constructor(element) {
    this.held = new Set();
    for (const kind of ["keydown", "keypress"]) element.addEventListener(kind, (event) => this.judge(event), true);
    addEventListener("keyup", ({ code }) => this.held.delete(code));
  }

  /** From now on do not listen to the keys that are down, until they have been let go. */
  refuseHeld() {
    this.held = new Set(down);
  }

  judge(event) {
    const edits = event.key === "Backspace" || event.key === "Delete" || event.key.startsWith("Arrow");
    const repeats = event.repeat && !edits;
    if (!repeats && !this.held.has(event.code)) return;
    event.preventDefault();
    event.stopPropagation();
  }
}
