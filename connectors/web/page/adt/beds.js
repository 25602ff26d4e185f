// The beds of all wards as they are now, made of the records of beds, visits and anomalies.

import { timeMs } from "./words.js";

const NONE = [];
const LONG_MS = 4 * 3_600_000;
/** Statuses of an empty bed by table 0116 that keep it from being given. */
const NOT_READY = { C: "closed", H: "cleaning", K: "cleaning", I: "isolated", O: "told" };

/**
 * Return the wards by name, {name, beds, counts}. A bed is {key, location, domain, state, sinceMs, patient,
 * visit, away, patients, odd}: `state` is taken, free, cleaning, isolated, closed, or told (said to be occupied,
 * nobody knows by whom); `patients` is how many are told to be in it; `odd` are its visit's anomalies.
 */
export function wardsOf(care) {
  const [booked, odd] = [doubleBooked(care), oddVisits(care)];
  return care.places.wards.map(([name, places]) => {
    const counts = { taken: 0, free: 0, cleaning: 0, isolated: 0, closed: 0, told: 0 };
    const beds = places.map(({ key, location, domain }) => {
      const { status, patient = null, visit, since } = care.beds.byKey.get(key) ?? {};
      const state = patient ? "taken" : NOT_READY[status] ?? "free";
      counts[state] += 1;
      return {
        key, location, domain, state, sinceMs: timeMs(since), patient, visit,
        away: patient !== null && care.encounterOf({ visit, patient, domain })?.status === "onleave",
        patients: booked.get(key)?.size ?? (patient ? 1 : 0),
        odd: odd.get(`${visit}|${domain}`) ?? NONE,
      };
    });
    return { name, beds, counts };
  });
}

/** Return the visits that are told to be in one bed at the same time, by bed; of now alone. */
function doubleBooked(care) {
  const found = new Map();
  for (const { kind, location, domain, end, visit } of care.anomalies.byKey.values()) {
    if (kind !== "double_booked" || end !== null) continue;
    const key = `${location}|${domain}`;
    if (!found.has(key)) found.set(key, new Set());
    found.get(key).add(visit);
  }
  return found;
}

function oddVisits(care) {
  const found = new Map();
  for (const record of care.anomalies.byKey.values()) {
    if (record.kind === "double_booked" || !record.visit) continue;
    const key = `${record.visit}|${record.domain}`;
    found.set(key, [...(found.get(key) ?? []), record]);
  }
  return found;
}

/**
 * Return who waits for a bed, the longest first: {visit, patient, domain, location, why, sinceMs, long}. These are
 * inpatients in the place where they were emergencies, and all who are in no bed.
 */
export function waitingOf(care, nowMs) {
  const found = [];
  for (const encounter of care.encounters.byKey.values()) {
    const stays = care.visits.get(encounter)?.stays;
    const last = stays?.at(-1);
    if (!last || last.end !== null || encounter.status === "onleave") continue;
    const before = stays.at(-2);
    const boards = last.class === "I" && before?.class === "E" && before.location === last.location;
    const bedless = !last.location.split("^")[2];
    if (!boards && !bedless) continue;
    const { visit, patient, domain } = encounter;
    const sinceMs = Date.parse(boards ? last.start : firstIn(stays));
    const why = boards ? (bedless ? "admitted, in no bed" : "admitted, still in emergency") : "in no bed";
    found.push({ visit, patient, domain, location: last.location, why, sinceMs, long: nowMs - sinceMs > LONG_MS });
  }
  return found.sort((a, b) => a.sinceMs - b.sinceMs);
}

/** Return since when a patient is in the last place, whatever the class. */
function firstIn(stays) {
  let at = stays.length - 1;
  while (at > 0 && stays[at - 1].location === stays[at].location && stays[at - 1].end === stays[at].start) at -= 1;
  return stays[at].start;
}

/**
 * Return the anomalies, a double booking once: {record, visits, now}. `now` are those about somebody who is here,
 * and beds that are booked twice now; they come first, then the newest.
 */
export function callsOf(care) {
  const here = new Set([...care.encounters.byKey.values()].map(({ visit, domain }) => `${visit}|${domain}`));
  const found = new Map();
  for (const record of care.anomalies.byKey.values()) {
    const { kind, location, start, end, visit, domain, anomaly } = record;
    const twice = kind === "double_booked";
    const key = twice ? [location, start, end, domain].join("|") : anomaly;
    const now = twice ? end === null : Boolean(visit) && here.has(`${visit}|${domain}`);
    if (!found.has(key)) found.set(key, { key, record, visits: [], now });
    if (visit) found.get(key).visits.push({ visit, patient: record.patient, domain });
  }
  return [...found.values()].sort((a, b) => b.now - a.now || (timeMs(b.record.start) ?? 0) - (timeMs(a.record.start) ?? 0));
}
