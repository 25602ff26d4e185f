// What a new record says beside the one before: admissions, moves, corrections of the past, and so on.

import { toMs } from "../times.js";
import { askText, placeText, strangeText, wardOf } from "./words.js";

/** Kinds of changes: their word and tone. */
export const KINDS = {
  admission: ["Admitted"], move: ["Moved"], class: ["Other class"], discharge: ["Discharged"],
  correction: ["Corrected", "warn"], merge: ["Other number", "warn"], withdrawn: ["Withdrawn", "warn"],
  plan: ["Planned"], cancelled: ["Cancelled", "warn"], leave: ["On leave"], back: ["Back from leave"],
  anomaly: ["Contradiction", "bad"], resolved: ["Cleared up", "good"], bed: ["Bed"],
};
const STATUSES = { C: "is closed", H: "is being cleaned", K: "is contaminated", I: "is isolated", O: "is occupied", U: "is ready" };

const isSame = (a, b) => isSameStay(a, b) && a.end === b.end && a.inferred === b.inferred;
const isSameStay = (a, b) => a.location === b.location && a.class === b.class && a.start === b.start;

/**
 * Return the changes of timelines, from events {before, after}, of which one may be undefined. A visit that is gone
 * under one patient and there under another has got another number.
 */
export function visitChanges(events) {
  const name = ({ visit, domain }) => `${visit}|${domain}`;
  const gone = new Map(events.filter(({ after }) => !after).map((event) => [name(event.before), event]));
  const found = [];
  for (const { before, after } of events.filter((event) => event.after)) {
    const from = gone.get(name(after));
    const change = changeOf(before, after);
    gone.delete(name(after));
    found.push(from ? { ...change, ...of("merge", after), patients: [from.before.patient, after.patient] } : change);
  }
  for (const { before, ns } of gone.values()) {
    found.push({ ...of("withdrawn", before), atMs: toMs(ns ?? before.ts_ns), old: before.stays });
  }
  return found.filter(Boolean);
}

/** Return changes with those together that say the same: a bed that is booked twice is told of both visits. */
export function grouped(changes) {
  const found = new Map();
  for (const each of changes) {
    const key = each.text ? `${each.kind}|${each.text}` : each;
    const first = found.get(key);
    if (first) first.visits = [...first.visits, ...each.visits];
    else found.set(key, each);
  }
  return [...found.values()];
}

/** Return how one timeline became another; old and fresh rows where the past is another one now. */
export function changeOf(before, after) {
  if (!before) return lastOf(after);
  let same = 0;
  while (before.stays[same] && after.stays[same] && isSame(before.stays[same], after.stays[same])) same += 1;
  const [old, fresh] = [before.stays.slice(same), after.stays.slice(same)];
  if (old.length === 0 && fresh.length === 0) return null;
  const [ended] = fresh;
  const wentOn = old.length === 0
    || (old.length === 1 && old[0].end === null && ended && isSameStay(old[0], ended) && old[0].inferred === ended.inferred);
  return wentOn ? lastOf(after) : { ...of("correction", after), old, fresh };
}

/** Return the last thing that a timeline tells. */
export function lastOf(record) {
  const last = record.stays.at(-1);
  const before = record.stays.at(-2);
  if (last.end !== null) return { ...of("discharge", record), from: last.location, whenMs: Date.parse(last.end) };
  const whenMs = Date.parse(last.start);
  if (!before) return { ...of("admission", record), to: last.location, whenMs };
  const kind = before.location === last.location ? "class" : "move";
  return { ...of(kind, record), from: before.location, to: last.location, class: last.class, whenMs };
}

/** Return what became of an encounter that its timeline does not tell. */
export function encounterChange(before, after) {
  if (!after || before?.status === after.status) return null;
  const kind = { planned: "plan", cancelled: "cancelled", "entered-in-error": "withdrawn", onleave: "leave",
    "in-progress": before?.status === "onleave" ? "back" : undefined }[after.status];
  return kind ? { ...of(kind, after) } : null;
}

export function anomalyChange(before, after) {
  if (before && after) return null;
  const record = after ?? before;
  const what = record.location ? `${strangeText(record.kind)}: ${placeText(record.location)}` : strangeText(record.kind);
  return { ...of(after ? "anomaly" : "resolved", record), text: after ? `${what}. Ask ${askText(record.kind)}` : what };
}

export function bedChange(before, after) {
  if (!after || !before || after.status === before.status || !STATUSES[after.status]) return null;
  return { ...of("bed", after), text: `${placeText(after.location)} ${STATUSES[after.status]}` };
}

/** Return a change of a record: of which ward it is, its last place tells. */
function of(kind, record) {
  const location = record.location ?? record.stays?.at(-1).location ?? "";
  const wards = new Set([location, ...(record.stays ?? []).slice(-2).map((stay) => stay.location)].filter(Boolean).map(wardOf));
  const { visit, patient, domain, version } = record;
  const visits = visit ? [{ visit, patient, domain }] : [];
  return { kind, visits, patient, version, wards, atMs: toMs(record.ts_ns), whenMs: null };
}
