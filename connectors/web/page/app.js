// The page: the state of the feed and the flows, the token, the head. The tabs are loaded after it.

import { startAges } from "./ages.js";
import { Api } from "./api.js";
import { askToken } from "./dialogs.js";
import { setText } from "./dom.js";
import { Feed } from "./feed.js";
import { Flags } from "./flags.js";
import { Preferences } from "./preferences.js";
import { Pulse } from "./pulse.js";
import { clock, localClock, moment, span } from "./times.js";
import { Workers } from "./workers.js";

const TOKEN = "headrace-token";
const WORDS = { connecting: "Connecting", live: "Live", stale: "Stale", cut: "Disconnected" };

const bars = modules("bar"); // asked for before all else: it takes a while though the browser has them
const $ = (id) => document.getElementById(id);
const scheme = location.protocol === "https:" ? "wss" : "ws";
const token = sessionStorage.getItem(TOKEN);
const feed = new Feed(`${scheme}://${location.host}/ws`, token);
const api = new Api(token);
const preferences = new Preferences($("preferences"));
const flags = new Flags(() => preferences.chime());
const workers = new Workers(api, feed);
const systems = new Set();
const pulse = new Pulse(feed, workers, () => systems);
const context = {
  feed, api, announce, pulse, workers, flags, preferences, switches: $("switches"),
  choose: (id) => { location.hash = id; }, // what the tabs begin with, until they are there
};
let asked = "";
let tabs = [];

/** Return the modules of a kind, bar or tab, of the systems that the server has found. */
function modules(kind) {
  const names = document.querySelector(`meta[name=${kind}s]`).content.split(" ").filter(Boolean);
  return Promise.all(names.map((name) => import(`./${name}/${kind}.js`)));
}

/** Say something to those who listen to the page. */
function announce(text) {
  setText($("announcer"), "");
  setTimeout(() => setText($("announcer"), text), 50);
}

function showStatus() {
  const { state, sinceMs, reason } = pulse.status;
  const bad = state === "stale" || state === "cut";
  document.documentElement.dataset.feed = state;
  setText($("status-text"), WORDS[state]);
  $("banner").hidden = !bad;
  if (bad) {
    const what = state === "stale" ? "Values are old." : asked ? "Disconnected." : "Disconnected: trying again.";
    // The age is not in the banner: a screen reader would read it again each second.
    setText($("banner-text"), `${what} Nothing new since ${moment(sinceMs, Date.now())} UTC (${reason}).`);
  }
  tick();
}

function tick() {
  const { state, sinceMs } = pulse.status;
  for (const node of document.querySelectorAll("[data-system]")) {
    node.classList.toggle("old", pulse.still.has(node.dataset.system));
  }
  setText($("time"), `${clock(feed.serverMs())} UTC`);
  setText($("local-time"), localClock(feed.serverMs()));
  if (state === "stale" || state === "cut") {
    setText($("status-text"), `${WORDS[state]} for ${span(Date.now() - sinceMs)}`);
  } else if (state === "live") {
    setText($("status-text"), pulse.behindMs ? `Live, ${span(pulse.behindMs)} behind` : "Live");
  }
}

async function renew(reason) {
  asked = reason;
  $("token-again").hidden = false;
  showStatus();
  const given = await askToken(reason);
  if (given === null) return;
  asked = "";
  $("token-again").hidden = true;
  sessionStorage.setItem(TOKEN, given);
  api.token = given;
  feed.useToken(given);
  workers.look();
  for (const { panel } of tabs) panel.renewed?.();
}

pulse.addEventListener("status", showStatus);
// The refusal and the end of its connection both tell it: who has closed the dialog between them is
// not asked again.
feed.addEventListener("token", (event) => {
  if (!asked) renew(event.detail);
});
$("token-again").addEventListener("click", () => renew(asked));
// The switches are in the head before anything else is begun.
await whole(async () => { for (const { show } of await bars) show(context); });
showStatus();
startAges(() => feed.serverMs());
setInterval(tick, 1000);
feed.connect();
workers.look();
await whole(async () => {
  const { openTabs } = await import("./tabs.js");
  tabs = await openTabs(context, await modules("tab"));
  for (const { system } of await context.outputs) systems.add(system);
});

/** Do a part of the start; where it fails, the page says so, and the others are done all the same. */
async function whole(part) {
  try {
    await part();
  } catch (error) {
    $("main").append(`The page cannot be loaded whole: ${error.message}`);
    reportError(error);
  }
}
