/** The choice of mails and messages. */

import { call, get, post } from "../lib/api.js";
import { homeOf, signedIn, signIn, signOut } from "../lib/auth.js";
import { announce, el, fill, ready } from "../lib/dom.js";
import { failed } from "../lib/shell.js";

const CONCERNS = {
  customers: ["request_received", "mechanic_assigned", "session_completed", "session_cancelled", "payment_failed", "payment_unfulfillable", "refund_failed", "quote_given"],
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

/** The link of a mail leads here; a person says yes, as programs that look for bad links follow them too. */
async function confirmation(token) {
  const confirm = async () => {
    try {
      await post("/api/notifications/confirm-address", { token });
      history.replaceState(null, "", "/console/settings.html");
      await refresh();
      announce("Your address is confirmed.");
    } catch (error) {
      announce(error.message, "error");
    }
  };
  await fill(main, el("h1", {}, "Confirm your address"), el("p", {}, "We send messages about your sessions to this address from now on."), el("button.primary", { onclick: confirm }, "Confirm"));
}

const token = new URLSearchParams(location.search).get("token");
ready("sign-out", signOut);
if (who && token) confirmation(token);
else if (who) refresh();
else signIn();
