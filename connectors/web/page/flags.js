// The word of each system in the title and the icon of the page, so that it is seen in any tab of a browser.

const ICONS = { good: "icon.svg", warn: "icon-warn.svg", bad: "icon-bad.svg" };
const WORST = ["bad", "warn", "good"];

export class Flags {
  constructor(chime) {
    this.flags = new Map();
    this.chime = chime;
  }

  /** Show a system's word, such as HALTED, with its tone: good, warn or bad. A change makes a sound. */
  set(system, text, tone) {
    const before = this.flags.get(system);
    if (before?.text === text && before.tone === tone) return;
    this.flags.set(system, { text, tone });
    const words = [...this.flags.values()];
    document.title = [...words.map((each) => each.text), "Headrace"].join(" · ");
    const worst = WORST.find((each) => words.some((word) => word.tone === each));
    document.querySelector("link[rel=icon]").href = `/static/${ICONS[worst]}`;
    if (before) this.chime();
  }
}
