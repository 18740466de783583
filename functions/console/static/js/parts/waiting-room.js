/** The waiting room: a customer's page from the request until the session begins. */

import { post } from "../lib/api.js";
import { announce, duration, el, pill, time } from "../lib/dom.js";
import { sureToEnd } from "./ending.js";
import { field, showErrors, values } from "../lib/form.js";
import { action, busy } from "../lib/shell.js";

/**
 * @param {Object} session as GET /api/sessions/{sessionId} answers it
 * @param {function(): Promise<void>} refresh rebuilds the page
 */
export function waitingRoom(session, refresh) {
  const withdraw = action(
    "Cancel this request",
    async () => {
      if (!(await sureToEnd(session, false))) return;
      await post(`/api/sessions/${session.sessionId}/end`);
      announce("Your request is cancelled.");
      document.querySelector("active-session-banner")?.refresh();
      await refresh();
    },
    { kind: "danger", id: "withdraw", "aria-haspopup": "dialog" },
  );
  return el(
    "section",
    {},
    el("h1", {}, headline(session)),
    el("p", {}, pill(session.status)),
    ...body(session, refresh),
    el("section.card", {}, el("h2", {}, "Your request"), el("p", {}, session.concern), el("p.quiet", {}, vehicle(session.vehicle), session.urgent && " · urgent")),
    session.status !== "live" && el("p", {}, withdraw),
  );
}

function headline({ status, assignmentStatus, counterpartName, scheduledFor }) {
  if (status === "scheduled") return `Booked for ${time(scheduledFor)}`;
  if (assignmentStatus === "pending_waiver") return "One signature to go";
  if (status === "waiting") return `${counterpartName} is ready for you`;
  if (assignmentStatus === "offered") return "Asking the mechanic you chose";
  return status === "live" ? "Your session is live" : "Finding you a mechanic";
}

function body(session, refresh) {
  if (session.assignmentStatus === "pending_waiver") return [waiver(session, refresh)];
  if (session.status === "waiting" || session.status === "live") {
    return [el("p", {}, el("a.button.primary", { href: session.sessionUrl }, session.status === "live" ? "Return to the session" : "Go to the session"))];
  }
  if (!session.waiting) return [el("p.card", {}, "We will let you know when a mechanic can take it.")];
  if (session.assignmentStatus === "offered") {
    return [el("p.card", { role: "status" }, `They have until ${clock(session.offerExpiresAt)} to answer. After that, the next available mechanic gets your request.`)];
  }
  const { position, mechanicsAvailable, estimatedWaitSeconds } = session.waiting;
  const tiles = [
    ["Your place", position === 1 ? "Next" : position],
    ["Mechanics available", mechanicsAvailable],
    ["Estimated wait", estimatedWaitSeconds === null ? "Soon" : `about ${duration(estimatedWaitSeconds)}`],
  ];
  return [
    el("div.grid", { role: "status" }, tiles.map(([label, value]) => el("div.card", {}, el("p.quiet", {}, label), el("p.big.number", {}, value)))),
    el("p.quiet", {}, "You may leave this page: your place is kept, and we e-mail you when a mechanic accepts."),
  ];
}

function waiver(session, refresh) {
  const submit = el("button.primary", { type: "submit" }, "Sign");
  const form = el(
    "form.card",
    {},
    el("h2", {}, "Waiver"),
    el("p", {}, "Remote advice cannot replace an inspection. You act on it at your own risk."),
    field("signedName", "Sign with your full name", { required: true, autocomplete: "name" }),
    el("p", {}, submit),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(submit, async () => {
      try {
        await post("/api/waiver/submit", { sessionId: session.sessionId, ...values(form) });
      } catch (problem) {
        if (!showErrors(form, problem)) throw problem;
        return;
      }
      await refresh();
    });
  });
  return form;
}

function clock(instant) {
  return new Date(instant).toLocaleTimeString(undefined, { timeStyle: "short" });
}

function vehicle({ year, make, model }) {
  return [year, make, model].filter(Boolean).join(" ");
}
