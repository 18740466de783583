/** Leaving the page for another one: what is on its way to the next page asks for nothing any more. */

import { config } from "./auth.js";

let leaving = false;
addEventListener("pageshow", () => (leaving = false)); // they came back

/** Whether the reader is on the way to another page. */
export const isLeaving = () => leaving;

/**
 * Goes to another page.
 * @param {string|Promise<string>} url where, or an act whose answer says it: if that fails, the reader stays, and the page follows again
 * @param {boolean} replace whether the way back skips this page
 */
export async function leaveFor(url, { replace = false } = {}) {
  if (leaving) return; // a second redirect would only begin the first anew
  leaving = true;
  try {
    const to = await url;
    if (replace) location.replace(to);
    else location.assign(to);
  } catch (error) {
    leaving = false;
    throw error;
  }
}

/** The address where the parties of a session meet, as answers say it in `sessionUrl`. */
export async function sessionUrl(sessionId, sessionType) {
  const { sessions } = await config();
  return `${sessions}/${sessionType === "chat" ? "chat" : "video"}/${sessionId}`;
}
