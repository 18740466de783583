/** The waiver that is signed before any mechanic sees the request. */

import { post } from "../api/api.js";
import { el } from "../lib/dom.js";
import { field, showErrors, values } from "../lib/form.js";
import { busy } from "../lib/shell.js";

export const WAIVER = "Remote advice cannot replace an inspection. You act on it at your own risk.";

/**
 * @param {string} sessionId
 * @param {function(): Promise<void>} signed called once it is signed
 */
export function waiver(sessionId, signed) {
  const submit = el("button.primary", { type: "submit" }, "Sign");
  const form = el(
    "form.card",
    {},
    el("h2", {}, "Waiver"),
    el("p", {}, WAIVER),
    field("signedName", "Sign with your full name", { required: true, autocomplete: "name" }),
    el("p", {}, submit),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(submit, async () => {
      try {
        await post("/api/waiver/submit", { sessionId, ...values(form) });
      } catch (problem) {
        if (!showErrors(form, problem)) throw problem;
        return;
      }
      await signed();
    });
  });
  return form;
}
