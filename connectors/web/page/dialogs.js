// The two dialogs. Escape and the cancel button give null.

import { setText } from "./dom.js";

const $ = (id) => document.getElementById(id);

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

/** Ask whether to do something; return the reason that was typed ("" for none), or null. */
export async function confirm({ title, text, action, danger }) {
  const dialog = $("confirm-dialog");
  if (dialog.open) return null;
  setText($("confirm-title"), title);
  setText($("confirm-text"), text);
  setText($("confirm-ok"), action);
  $("confirm-ok").className = danger ? "danger" : "primary";
  $("confirm-reason").value = "";
  return (await answer(dialog)) ? $("confirm-reason").value.trim() : null;
}
