/** The choice of mails, messages and calls. */

import { call, get, post } from "../api/api.js";
import { homeOf, signedIn, signIn } from "../api/auth.js";
import { announce, el, fill } from "../lib/dom.js";
import { frame } from "../lib/frame.js";
import { tabsOf } from "../lib/places.js";
import { failed } from "../lib/shell.js";
import { plain } from "../lib/states.js";
import { calling } from "../parts/calling.js";

const CONCERNS = {
  customers: [
    ...["confirm_address", "request_received", "mechanic_assigned", "first_reply_late", "back_in_queue", "session_completed", "notes_added"],
    ...["session_cancelled", "payment_received", "credits_bought", "refund_sent", "payment_failed", "payment_late", "payment_unfulfillable", "refund_failed", "quote_given"],
  ],
  mechanics: ["set_away", "suspended", "session_taken_back", "session_closed", "payout_sent", "payout_failed", "quote_requested", "quote_approved", "contest_opened", "request_waiting", "request_offered"],
};
const WORDS = {
  request_received: "We have your request",
  mechanic_assigned: "A mechanic accepted",
  first_reply_late: "Your mechanic has not answered",
  back_in_queue: "We look for another mechanic",
  session_taken_back: "A session went back to the queue",
  suspended: "You were suspended",
  set_away: "You missed requests and were set away",
  session_completed: "Your session's summary",
  session_cancelled: "Your session was cancelled",
  session_closed: "An operator ended your session",
  notes_added: "Your mechanic's notes",
  payout_sent: "A payout is on its way",
  payout_failed: "A payout did not go through",
  payment_received: "A receipt for your payment",
  credits_bought: "A receipt for your credits",
  refund_sent: "A refund is on its way",
  payment_unfulfillable: "A payment could not be used",
  payment_failed: "A payment did not go through",
  payment_late: "A payment came late, and you can start",
  refund_failed: "A refund did not arrive",
  quote_requested: "Your workshop is asked for a quote",
  contest_opened: "A customer contests a session",
  contest_decided: "A contest was decided",
  quote_given: "A quote for your car",
  quote_approved: "Your customer approved a quote",
  confirm_address: "Confirm your address",
  request_waiting: "Somebody waits for a mechanic",
  request_offered: "Somebody asks for you by name",
  message_waiting: "A message while you are away",
};
const main = document.getElementById("main");
const who = signedIn();

async function refresh() {
  try {
    const { preferences, locale } = await get("/api/notifications/preferences");
    const called = await calling(who.groups, refresh);
    await fill(main, el("h1", {}, "Notification settings"), ...called, ...preferences.filter(({ kind }) => concerns(kind, who.groups)).map((each) => row(each, locale)), el("p", {}, el("a", { href: homeOf(who.groups) }, "Back")));
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
      await call("PUT", "/api/notifications/preferences", { preferences: [{ kind: preference.kind, [channel]: control.checked }] });
      preference[channel] = control.checked;
      announce("Saved.");
    } catch (error) {
      control.checked = !control.checked;
      announce(error.message, "error");
    }
  };
  const toggle = (channel, label) => preference[channel] !== null && el("label.inline", {}, el("input", { type: "checkbox", checked: preference[channel], onchange: change(channel) }), label);
  return el("fieldset.card.row", {}, el("legend", {}, WORDS[preference.kind] ?? plain(preference.kind)), toggle("email", "E-mail"), toggle("inApp", "In the application"), toggle("push", "While the page is closed"));
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
frame();
if (who) tabsOf(who.groups);
if (who && token) confirmation(token);
else if (who) refresh();
else signIn();
