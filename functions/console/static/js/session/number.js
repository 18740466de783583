/** Asks for a telephone number in a dialog. */

import { answered, el } from "../lib/dom.js";
import { field } from "../lib/form.js";

/** @returns {Promise<string>} the number; empty where none was given */
export function askedNumber() {
  const choices = el("p.row", {}, el("button.primary", { value: "yes" }, "Leave it"), el("button", { value: "no", formNoValidate: true }, "Cancel"));
  const number = field("number", "Telephone number", { type: "tel", autocomplete: "tel", required: true, minlength: 3, maxlength: 40, autofocus: true });
  const form = el("form", { method: "dialog" }, el("h2", { id: "question" }, "Leave a number"), el("p", { id: "consequence" }, "It is written into the talk: the mechanic who accepts reads it, and nobody else."), number, choices);
  const dialog = el("dialog.card", { "aria-labelledby": "question", "aria-describedby": "consequence" }, form);
  return answered(dialog).then((answer) => (answer === "yes" ? form.elements.number.value.trim() : ""));
}
