// The two dialogs. Escape and the cancel button give null.

import { setOptions, setText } from "./dom.js";
import { FreshKeys } from "./keys.js";

/** The value of a subject that is not in the list. No name has it. */
export const OTHER = "";

const $ = (id) => document.getElementById(id);
const keys = new FreshKeys($("confirm-dialog"));

for (const button of document.querySelectorAll("dialog [data-cancel]")) {
  button.addEventListener("click", () => button.closest("dialog").close("cancel"));
}

function answer(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok"), { once: true });
  });
}

/** Ask for a token, saying why; null where it is not given, or is being asked for already. */
export async function askToken(reason) {
  const dialog = $("token-dialog");
  if (dialog.open) return null;
  setText($("token-reason"), reason);
  $("token").value = "";
  const given = await answer(dialog);
  const token = $("token").value.trim();
  $("token").value = "";
  return given && token ? token : null;
}

const FIELDS = ["subject", "other", "reason", "typed", "agreed"];
const field = (name) => $(`confirm-${name}`);
let question = null;

/** Return what is meant: one of the list, or what was typed instead. */
const subjectOf = () => (field("subject").value === OTHER ? field("other").value.trim() : field("subject").value);

/** Let the answer be given once all is there that this subject asks for. */
function check() {
  if (!question) return;
  const typed = question.typed(field("subject").value);
  field("other-field").hidden = field("subject").value !== OTHER;
  field("typed-field").hidden = typed === "";
  setText(field("typed-label"), `Type ${typed} to confirm that you mean all`);
  field("ok").disabled = !subjectOf() || !field("reason").value.trim() || (typed !== "" && field("typed").value !== typed)
    || (question.agreed !== "" && !field("agreed").checked);
}

for (const name of FIELDS) field(name).addEventListener("input", check);

/**
 * Ask whether to do something to one of `subjects` ([value, text] each), saying `label` of them; OTHER among the values
 * lets another one be typed. Return {subject, reason}, or null. There has to be a reason, which may be given before;
 * `typed(subject)` is what has to be typed besides, `agreed` what has to be ticked, "" for nothing. Keys that were
 * down when the dialog opened do nothing in it.
 */
export async function confirm({ title, text, label, subjects, subject, typed, action, danger, reason = "", agreed = "" }) {
  const dialog = $("confirm-dialog");
  if (dialog.open) return null;
  question = { typed, agreed };
  setText(field("title"), title);
  setText(field("text"), text);
  setText(field("subject-label"), label);
  setOptions(field("subject"), subjects);
  field("subject").value = subject;
  setText(field("other-label"), "Its name");
  setText(field("agreed-label"), agreed);
  field("agreed-field").hidden = agreed === "";
  setText(field("ok"), action);
  field("ok").className = danger ? "danger" : "primary";
  field("reason").value = reason;
  field("agreed").checked = false;
  for (const name of ["other", "typed"]) field(name).value = "";
  check();
  keys.refuseHeld();
  const asked = answer(dialog);
  field("reason").focus();
  if (!(await asked)) return null;
  return { subject: subjectOf(), reason: field("reason").value.trim() };
}
