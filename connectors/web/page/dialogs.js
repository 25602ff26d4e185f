// The two dialogs. Escape and the cancel button give null.

import { setOptions, setText } from "./dom.js";
import { FreshKeys } from "./keys.js";

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

let question = null;

/** Let the answer be given once there is a reason, and what has to be typed for this subject is. */
function check() {
  if (!question) return;
  const typed = question.typed($("confirm-subject").value);
  $("confirm-typed-field").hidden = typed === "";
  setText($("confirm-typed-label"), `Type ${typed} to confirm that you mean all`);
  $("confirm-ok").disabled = !$("confirm-reason").value.trim() || (typed !== "" && $("confirm-typed").value !== typed);
}

for (const id of ["confirm-subject", "confirm-reason", "confirm-typed"]) $(id).addEventListener("input", check);

/**
 * Ask whether to do something to one of `subjects` ([value, text] each), saying `label` of them.
 * Return {subject, reason}, or null. There has to be a reason; `typed(subject)` is what has to be
 * typed besides, "" for nothing. Keys that were down when the dialog opened do nothing in it.
 */
export async function confirm({ title, text, label, subjects, subject, typed, action, danger }) {
  const dialog = $("confirm-dialog");
  if (dialog.open) return null;
  question = { typed };
  setText($("confirm-title"), title);
  setText($("confirm-text"), text);
  setText($("confirm-subject-label"), label);
  setOptions($("confirm-subject"), subjects);
  $("confirm-subject").value = subject;
  setText($("confirm-ok"), action);
  $("confirm-ok").className = danger ? "danger" : "primary";
  $("confirm-reason").value = "";
  $("confirm-typed").value = "";
  check();
  keys.refuseHeld();
  const asked = answer(dialog);
  $("confirm-reason").focus();
  if (!(await asked)) return null;
  return { subject: $("confirm-subject").value, reason: $("confirm-reason").value.trim() };
}
