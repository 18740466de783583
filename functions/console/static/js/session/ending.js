/** Asks for confirmation before a session or a request is ended, and explains the consequence. */

import { confirmed, duration } from "../lib/dom.js";
import { BACK, endingNow } from "./words.js";

/**
 * The consequence of ending it now, in words for its parties.
 * @param {Object} session as GET /api/sessions/{sessionId} answers it
 * @param {boolean} isMechanic whether the reader is the mechanic
 * @param {number} together seconds so far
 * @param {boolean} spoken whether both have written or spoken
 */
function consequence(session, isMechanic, together, spoken) {
  const { status, startedAt, funding } = session;
  const back = isMechanic ? "Nothing is charged." : BACK[funding];
  if (status === "live" || startedAt) {
    return ["End this session?", `It ends for both of you and cannot be opened again. You were together for ${duration(together)}. ${endingNow(session, together, spoken, isMechanic)}`, "End it now", "Stay in it"];
  }
  if (status === "waiting") return ["End this session?", `It has not begun, and is cancelled for both of you. ${back}`, "End it now", "Keep it"];
  return ["Cancel this request?", `It leaves the queue, and no mechanic will take it. ${back}`, "Cancel the request", "Keep it"];
}

/** Resolves to true when the reader confirms. */
export function sureToEnd(session, isMechanic, together, spoken) {
  const [question, detail, yes, no] = consequence(session, isMechanic, together, spoken);
  return confirmed(question, yes, { detail, no, kind: "danger" });
}

/** Resolves to true when the customer wants the request at another time instead. */
export function sureToMove({ funding }) {
  const detail = `This request is cancelled. ${BACK[funding]} The form opens with what you wrote, and you choose a time.`;
  return confirmed("Book a time instead?", "Choose a time", { detail, no: "Keep waiting" });
}
