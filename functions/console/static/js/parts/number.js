/** Asks for a telephone number in a dialog. */

import { el } from "../lib/dom.js";
import { field } from "../lib/form.js";

/** @returns {Promise<string>} the number; empty where none was given */
export function askedNumber() {
  const choices = el("p.row", {}, el("button.primary", { value: "yes" }, "Leave it"), el("button", { type: "button", onclick: () => dialog.close("") }, "Cancel"));
  const number = field("number", "Telephone number", { type: "tel", autocomplete: "tel", required: true, minlength: 3, maxlength: 40, autofocus: true });
  const form = el("form", { method: "dialog" }, el("h2", { id: "question" }, "Leave a number"), el("p", { id: "consequence" }, "It is written into the talk: the mechanic who accepts reads it, and nobody else."), number, choices);
  const dialog = el("dialog.card", { "aria-labelledby": "question", "aria-describedby": "consequence" }, form);
  const opener = document.activeElement;
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue === "yes" ? form.elements.number.value.trim() : "";
      dialog.remove();
      if (opener.isConnected) opener.focus({ preventScroll: true });
      resolve(given);
    });
  });
}
