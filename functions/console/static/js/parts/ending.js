/** Asks for confirmation before a session or a request is ended, and explains the consequence. */

import { confirmed } from "../lib/dom.js";

const BACK = {
  card: "Nothing is charged: the payment goes back to the card.",
  credit: "Nothing is charged: the credits go back to the balance.",
  free: "Nothing is charged.",
};

/**
 * The consequence of ending it now, in words for its parties.
 * @param {Object} session as GET /api/sessions/{sessionId} answers it
 * @param {boolean} isMechanic whether the reader is the mechanic
 */
function consequence({ status, startedAt, funding }, isMechanic) {
  if (status === "live" || startedAt) {
    const paid = isMechanic ? "you are paid for it; if not, the customer is charged nothing." : "it is paid for; if not, nothing is charged.";
    return ["End this session?", `It ends for both of you and cannot be opened again. If you were together long enough, ${paid}`, "End it now", "Stay in it"];
  }
  if (status === "waiting") return ["End this session?", `It has not begun, and is cancelled for both of you. ${BACK[funding]}`, "End it now", "Keep it"];
  return ["Cancel this request?", `It leaves the queue, and no mechanic will take it. ${BACK[funding]}`, "Cancel the request", "Keep it"];
}

/** Resolves to true when the reader confirms. */
export function sureToEnd(session, isMechanic) {
  const [question, detail, yes, no] = consequence(session, isMechanic);
  return confirmed(question, yes, { detail, no, kind: "danger" });
}
