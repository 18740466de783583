/** Leaving the page for another one: what is on its way to the next page asks for nothing any more. */

import { config, homeOf } from "../api/auth.js";
import { el } from "./dom.js";

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

const TABS = {
  mechanic: { queue: "Queue", earnings: "Earnings", sessions: "Sessions", quotes: "Quotes", messages: "Messages" },
  customer: { now: "Get help", sessions: "Sessions", credits: "Credits", receipts: "Receipts", messages: "Messages" },
};

/** Shows the tabs of somebody's own page on a page beside it; an operator gets a way back. */
export function tabsOf(groups) {
  const mine = groups.includes("mechanics") ? "mechanic" : "customer";
  const links = Object.entries(TABS[mine]).map(([name, label]) => el("a", { href: `/console/${mine}.html#${name}` }, label));
  document.getElementById("tabs").replaceChildren(...(groups.includes("admins") && mine !== "mechanic" ? [el("a", { href: homeOf(groups) }, "Back")] : links));
}

/** The address where the parties of a session meet, as answers say it in `sessionUrl`. */
export async function sessionUrl(sessionId, sessionType) {
  const { sessions } = await config();
  return `${sessions}/${sessionType === "chat" ? "chat" : "video"}/${sessionId}`;
}
