// What patient care's records are called on the page.

import { NONE } from "../numbers.js";

/** Return a number without the authority that gave it. */
export const short = (id) => (id ? id.split("^")[0] : NONE);
/** Return a place as people say it: MED R01 1. */
export const placeText = (location) => (location ? location.split("^").filter(Boolean).join(" ") : NONE);
/** Return a ward, with its facility where that is another one: ICU, or ICU GN. */
export const wardOf = (location) => {
  const [ward, , , facility] = location.split("^");
  return facility ? `${ward} ${facility}` : ward;
};
/** Whether a place names a bed, and no mere room, hall or ward. */
export const isBed = (location) => Boolean(location.split("^")[2]);
export const visitKey = ({ visit, patient, domain }) => `${visit}|${patient}|${domain}`;
/** Return ms since 1970 of a time in a record; null where it has none. */
export const timeMs = (text) => (text ? Date.parse(text) : null);

const CLASSES = { E: "emergency", I: "inpatient", O: "outpatient", P: "preadmit", R: "recurring", B: "obstetrics" };
export const classText = (letter) => CLASSES[letter] ?? letter ?? NONE;

/** Kinds of anomalies: what it is, and whom to ask. */
const STRANGE = {
  double_booked: ["Two patients in one bed", "the ward: who is in the bed?"],
  visit_reused: ["One visit number, two patients", "registration: whose visit is it?"],
  moved_after_discharge: ["Moved after the discharge", "the ward: is the patient still there?"],
  merge_into_itself: ["A merge of a patient with himself", "registration: who was meant?"],
  merge_cycle: ["Merges contradict each other", "registration: which number survives?"],
  cancel_without_target: ["Cancels what nobody has told", "the sender: is a message missing?"],
  time_invalid: ["A time that does not exist", "the sender: when was it?"],
  time_ambiguous: ["A time that the clock passed twice", "the sender: when was it?"],
  field_invalid: ["A field that is too long", "the sender: what was meant?"],
  charset_mismatch: ["Another character set than it says", "the sender: its settings"],
  trigger_unknown: ["A trigger that HL7 does not know", "the sender: its settings"],
};
export const strangeText = (kind) => STRANGE[kind]?.[0] ?? kind;
export const askText = (kind) => STRANGE[kind]?.[1] ?? "the sender";
