// What is kept of how somebody likes the page: its theme, and whether it makes a sound.

import { el, setText } from "./dom.js";

const KEPT = "headrace-preferences";
const THEMES = ["system", "light", "dark"];
const NEXT = { system: "light", light: "dark", dark: "system" };

/** Event "theme" where the colours have changed. */
export class Preferences extends EventTarget {
  constructor(host) {
    super();
    const kept = read();
    this.theme = THEMES.includes(kept.theme) ? kept.theme : "system";
    this.sound = kept.sound === true;
    this.audio = null;
    this.themeButton = el("button", { type: "button", class: "small", click: () => this.use({ theme: NEXT[this.theme] }) });
    this.soundButton = el("button", {
      type: "button", class: "small", title: "A sound when the word in the title changes",
      click: () => {
        this.use({ sound: !this.sound });
        this.chime();
      },
    });
    host.append(this.themeButton, this.soundButton);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.dispatchEvent(new Event("theme")));
    this.show();
  }

  use(changed) {
    Object.assign(this, changed);
    localStorage.setItem(KEPT, JSON.stringify({ theme: this.theme, sound: this.sound }));
    this.show();
    this.dispatchEvent(new Event("theme"));
  }

  show() {
    document.documentElement.dataset.theme = this.theme;
    setText(this.themeButton, `Theme: ${this.theme}`);
    setText(this.soundButton, `Sound: ${this.sound ? "on" : "off"}`);
    this.soundButton.setAttribute("aria-pressed", String(this.sound));
  }

  /** Two short tones, where somebody wants them. A browser lets a page sound once it was clicked. */
  chime() {
    if (!this.sound) return;
    this.audio ??= new AudioContext();
    for (const [at, pitch] of [[0, 880], [0.18, 660]]) {
      const tone = this.audio.createOscillator();
      const volume = new GainNode(this.audio, { gain: 0.15 });
      tone.frequency.value = pitch;
      tone.connect(volume).connect(this.audio.destination);
      tone.start(this.audio.currentTime + at);
      tone.stop(this.audio.currentTime + at + 0.15);
    }
  }
}

function read() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? {};
  } catch {
    return {};
  }
}
