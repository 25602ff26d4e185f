// A visit as a card: how it stands, a bar for each stay, and the messages behind it.

import { card, disclosed, el } from "../dom.js";
import { dateTime, here, span } from "../times.js";
import { classText, placeText, short, strangeText, timeMs } from "./words.js";

const STATUSES = {
  planned: "planned", "in-progress": "here", onleave: "on leave", finished: "discharged", cancelled: "cancelled",
  "entered-in-error": "deleted, entered in error",
};

/**
 * Return the card of a visit. `record` names it, `visit` is its timeline, `encounter` how it stands; either may be
 * undefined. `changes` are nodes of what was said before.
 */
export function timeline({ record, visit, encounter, anomalies, changes, nowMs }) {
  const stays = visit?.stays ?? [];
  const newest = [visit, encounter].filter(Boolean).sort((a, b) => b.version - a.version)[0];
  return card(`Visit ${short(record.visit)}`, {},
    el("p", { class: "note" }, standing(encounter, newest, nowMs)),
    stays.length ? bars(stays, nowMs) : el("p", { class: "empty" }, "The patient was in no bed or place yet."),
    ...anomalies.map((each) => el("p", { class: "note", "data-tone": "bad" },
      `! ${strangeText(each.kind)}${each.location ? `: ${placeText(each.location)}` : ""}${each.start ? `, ${here(timeMs(each.start), nowMs)}` : ""}`)),
    ...changes.map((node) => el("p", { class: "note" }, node)),
    messages(newest));
}

function standing(encounter, { version }, nowMs) {
  const { status, class: letter, admitted, discharged, disposition } = encounter ?? {};
  const at = (text) => here(timeMs(text), nowMs);
  return [
    STATUSES[status] ?? status, letter && classText(letter), admitted && `admitted ${at(admitted)}`,
    discharged && `left ${at(discharged)}`, disposition && `to ${disposition} (PV1-36)`, `version ${version}`,
  ].filter(Boolean).join(" · ");
}

/** Return the stays as rows, each with its bar over one scale of time. */
function bars(stays, nowMs) {
  const beginMs = timeMs(stays[0].start);
  const endMs = Math.max(beginMs + 1, ...stays.map(({ end }) => timeMs(end) ?? nowMs));
  const share = (ms) => (100 * (ms - beginMs)) / (endMs - beginMs);
  return el("div", { class: "scroll timeline", tabindex: "0", role: "region", "aria-label": "Stays by time" }, el("table", {},
    el("caption", { class: "unseen" }, "Stays by time"),
    el("thead", {}, el("tr", {}, ...["Bed or place", "Class", "From", "To", "Long"].map((title) => el("th", { scope: "col" }, title)),
      el("th", { scope: "col", class: "track-head" }, el("span", {}, here(beginMs, nowMs)), el("span", {}, here(endMs, nowMs))))),
    el("tbody", {}, ...stays.map((stay) => {
      const [fromMs, toMs] = [timeMs(stay.start), timeMs(stay.end) ?? nowMs];
      const bar = el("span", { class: "track-bar" });
      bar.style.setProperty("--from", `${share(fromMs)}%`);
      bar.style.setProperty("--long", `${share(toMs) - share(fromMs)}%`);
      if (stay.inferred) bar.dataset.inferred = "";
      if (stay.end === null) bar.dataset.open = "";
      return el("tr", {}, el("th", { scope: "row" }, placeText(stay.location)),
        el("td", {}, classText(stay.class) + (stay.inferred ? ", inferred" : "")),
        el("td", { class: "num", title: dateTime(fromMs) }, here(fromMs, nowMs)),
        el("td", { class: "num", title: stay.end ? dateTime(toMs) : "" }, stay.end ? here(toMs, nowMs) : "now"),
        el("td", { class: "num" }, span(toMs - fromMs)),
        el("td", { class: "track", "aria-hidden": "true" }, bar));
    }))));
}

function messages({ because, visit, ts_ns: ns }) {
  const number = because.length;
  return disclosed(`${number === 32 ? "The last 32" : number} ${number === 1 ? "message" : "messages"} behind it`,
    el("p", { class: "note" }, "Where they lie (topic:partition:offset), the newest last. ",
      el("code", {}, `headrace state show adt visit ${short(visit)} --why`), " tells trigger and time of each. ",
      `The last change was recorded ${dateTime(Number(String(ns).slice(0, -6)))}.`),
    el("ol", { class: "causes num" }, ...because.map((place) => el("li", {}, el("code", {}, place)))));
}
