/** The choice of mails and messages. */

import { call, get } from "../lib/api.js";
import { homeOf, signedIn, signIn, signOut } from "../lib/auth.js";
import { announce, el, fill, ready } from "../lib/dom.js";
import { failed } from "../lib/shell.js";

const CONCERNS = {
  customers: ["request_received", "mechanic_assigned", "session_completed", "session_cancelled", "payment_failed", "payment_unfulfillable", "quote_given"],
  mechanics: ["payout_sent", "payout_failed", "quote_requested", "quote_approved"],
};
const main = document.getElementById("main");
const who = signedIn();

async function refresh() {
  try {
    const { preferences, locale } = await get("/api/notifications/preferences");
    await fill(main, el("h1", {}, "Notification settings"), ...preferences.filter(({ kind }) => concerns(kind, who.groups)).map((each) => row(each, locale)), el("p", {}, el("a", { href: homeOf(who.groups) }, "Back")));
  } catch (error) {
    await fill(main, failed(error, refresh));
  }
}

/** Whether people in these groups ever get this kind; a kind that this page does not know is for everybody. */
function concerns(kind, groups) {
  const concerned = Object.keys(CONCERNS).filter((group) => CONCERNS[group].includes(kind));
  return concerned.length === 0 || concerned.some((group) => groups.includes(group));
}

function row(preference) {
  const change = (channel) => async (event) => {
    const control = event.target;
    try {
      await call("PUT", "/api/notifications/preferences", { preferences: [{ ...preference, [channel]: control.checked }] });
      preference[channel] = control.checked;
      announce("Saved.");
    } catch (error) {
      control.checked = !control.checked;
      announce(error.message, "error");
    }
  };
  const toggle = (channel, label) => el("label.inline", {}, el("input", { type: "checkbox", checked: preference[channel], onchange: change(channel) }), label);
  return el("fieldset.card.row", {}, el("legend", {}, preference.kind.replaceAll("_", " ")), toggle("email", "E-mail"), toggle("inApp", "In the application"));
}

ready("sign-out", signOut);
if (who) refresh();
else signIn();
