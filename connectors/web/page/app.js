// The page: tabs, the state of the feed, the token.

import { Api } from "./api.js";
import { askToken } from "./dialogs.js";
import { setText } from "./dom.js";
import { Feed } from "./feed.js";
import { Health } from "./health.js";
import { Outputs } from "./outputs.js";
import { Tabs } from "./tabs.js";
import { clock, span } from "./times.js";

/**
 * One entry a tab: its class is made with (panel, {feed, api, announce, outputs}) and has shown(whether).
 * A system's is `<system>/tab.js`, which exports title and Panel; the server tells which there are.
 */
async function tabsFound() {
  const names = await listed("tabs");
  const rooms = await Promise.all(names.map((name) => import(`./${name}/tab.js`)));
  const found = rooms.map(({ title, Panel }, place) => ({ id: names[place], title, Panel }));
  return [...found, { id: "outputs", title: "Outputs", Panel: Outputs }, { id: "health", title: "Health", Panel: Health }];
}

async function listed(what) {
  return (await fetch(`/static/${what}.json`)).json();
}

const TABS = await tabsFound();
const outputs = await listed("outputs");
const TOKEN = "headrace-token";
const WORDS = { connecting: "Connecting", live: "Live", stale: "Stale", cut: "Disconnected" };

const $ = (id) => document.getElementById(id);
const scheme = location.protocol === "https:" ? "wss" : "ws";
const token = sessionStorage.getItem(TOKEN);
let asked = "";
const feed = new Feed(`${scheme}://${location.host}/ws`, token);
const api = new Api(token);

/** Say something to those who listen to the page. */
function announce(text) {
  setText($("announcer"), "");
  setTimeout(() => setText($("announcer"), text), 50);
}

function showStatus() {
  const { state, sinceMs, reason } = feed.status;
  const bad = state === "stale" || state === "cut";
  document.documentElement.dataset.feed = state;
  setText($("status-text"), WORDS[state]);
  $("banner").hidden = !bad;
  if (bad) {
    const what = state === "stale" ? "Values are old." : asked ? "Disconnected." : "Disconnected: trying again.";
    // The age is not in the banner: a screen reader would read it again each second.
    setText($("banner-text"), `${what} Nothing new since ${clock(sinceMs)} UTC (${reason}).`);
  }
}

function tick() {
  const { state, sinceMs } = feed.status;
  setText($("time"), `${clock(feed.serverMs())} UTC`);
  if (state === "stale" || state === "cut") {
    setText($("status-text"), `${WORDS[state]} for ${span(Date.now() - sinceMs)}`);
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
  for (const panel of panels.values()) panel.renewed?.();
}

const panels = new Map();
const tabs = new Tabs($("tabs"), $("main"), TABS, (id) => {
  for (const [each, panel] of panels) panel.shown(each === id);
});
for (const { id, Panel } of TABS) panels.set(id, new Panel(tabs.panel(id), { feed, api, announce, outputs }));

feed.addEventListener("status", showStatus);
// The refusal and the end of its connection both tell it: who has closed the dialog between them is
// not asked again.
feed.addEventListener("token", (event) => {
  if (!asked) renew(event.detail);
});
$("token-again").addEventListener("click", () => renew(asked));
showStatus();
setInterval(tick, 1000);
tick();
feed.connect();
const wanted = location.hash.slice(1);
tabs.choose(TABS.some(({ id }) => id === wanted) ? wanted : TABS[0].id);
