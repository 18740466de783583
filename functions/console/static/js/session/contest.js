/** A contest on the session's page: the customer's form, the mechanic's answer, and what was decided. */

import { post } from "../api/api.js";
import { announce, count, el, money, time } from "../lib/dom.js";
import { field, missing, showErrors, values } from "../lib/form.js";
import { busy } from "../lib/shell.js";

export const REASONS = {
  not_helped: "It did not help",
  wrong_advice: "The advice was wrong",
  cut_short: "It was cut short",
  behaviour: "How I was treated",
  other: "Something else",
};

/** What goes back after a decision, in words. */
export function given({ refundCents, refundCredits }) {
  return [refundCents && money(refundCents), refundCredits && count(refundCredits, "credit")].filter(Boolean).join(" and ");
}

/**
 * @param {{sessionId: string, openUntil: string|null, contest: Object|null}|null} found as the API shows it
 * @param {boolean} isMechanic
 * @param {function(): Promise<void>} refresh
 */
export function contestPart(found, isMechanic, refresh) {
  if (found?.contest) return stands(found, isMechanic, refresh);
  return found?.openUntil && !isMechanic ? asking(found, refresh) : null;
}

function asking({ sessionId, openUntil }, refresh) {
  const choices = [el("option", { value: "" }, "Choose …"), ...Object.entries(REASONS).map(([value, label]) => el("option", { value }, label))];
  const submit = el("button.primary", { type: "submit" }, "Contest this session");
  const form = el(
    "form",
    { novalidate: true },
    el("p", {}, `We look at the talk and decide whether you get your money back, or some of it. Until then your mechanic is not paid. Your mechanic reads what you write, and may answer. You can do this until ${time(openUntil)}.`),
    field("reason", "What was wrong?", { tag: "select", required: true }, ...choices),
    field("text", "Tell us more", { tag: "textarea", maxlength: 2000, required: true }),
    el("p", {}, submit),
  );
  return el("details.card", { id: "contest" }, el("summary", {}, "Something was wrong with it"), sending(form, submit, `/api/sessions/${sessionId}/contest`, "We look at it, and write to you.", refresh));
}

function stands({ sessionId, contest }, isMechanic, refresh) {
  return el(
    "section.card",
    { "aria-label": "Contest", id: "contest" },
    el("h2", {}, isMechanic ? "The customer contests this session" : "You contest this session"),
    el("p.quiet", {}, `${REASONS[contest.reason] ?? contest.reason} · ${time(contest.contestedAt)}`),
    el("blockquote.notes", {}, contest.text || "(erased)"),
    contest.answer !== null && [el("h3", {}, isMechanic ? "Your answer" : "Your mechanic's answer"), el("blockquote.notes", {}, contest.answer || "(erased)")],
    contest.outcome ? decision(contest, isMechanic) : el("p", { role: "status" }, waiting(contest, isMechanic)),
    isMechanic && !contest.outcome && contest.answer === null && answering(sessionId, refresh),
  );
}

function waiting(contest, isMechanic) {
  if (!isMechanic) return "We look at it, and write to you when it is decided.";
  return contest.answer === null ? "What it earned you and was not sent waits until we have decided." : "We look at both sides, and write to you when it is decided.";
}

function decision(contest, isMechanic) {
  const back = {
    keep: isMechanic ? "You are paid in full." : "The price stays as it was.",
    part: isMechanic ? `${given(contest)} of what was paid goes back, and your share becomes smaller in proportion.` : `You get ${given(contest)} back of what you paid.`,
    all: isMechanic ? "All that was paid goes back, and your share with it." : `You get back all that you paid: ${given(contest)}.`,
  };
  const how = contest.refundCents !== null && !isMechanic && " Banks take up to 10 days to show it.";
  return [el("h3", {}, `Decided ${time(contest.decidedAt)}`), el("p", { role: "status" }, el("strong", {}, contest.outcome === "keep" ? back.keep : back[contest.outcome]), how), el("p", {}, contest.note)];
}

function answering(sessionId, refresh) {
  const submit = el("button.primary", { type: "submit" }, "Send my answer");
  const form = el("form", { novalidate: true }, field("text", "Your side of it, once", { tag: "textarea", maxlength: 2000, required: true, hint: "The customer reads it too." }), el("p", {}, submit));
  return sending(form, submit, `/api/sessions/${sessionId}/contest/answer`, "Your answer is with us.", refresh);
}

function sending(form, submit, path, done, refresh) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const empty = missing(form);
    if (empty.document.errors.length) return showErrors(form, empty);
    return busy(submit, async () => {
      try {
        await post(path, values(form));
      } catch (problem) {
        if (!showErrors(form, problem)) throw problem;
        return;
      }
      announce(done);
      await refresh();
    });
  });
  return form;
}
