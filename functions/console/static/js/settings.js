/** Which mails and messages somebody wants. */

import { call, get } from "./api.js";
import { homeOf, signedIn, signIn, signOut } from "./auth.js";
import { announce, el, fill } from "./dom.js";
import { failed } from "./shell.js";

const main = document.getElementById("main");
const who = signedIn();

async function refresh() {
  try {
    const { preferences, locale } = await get("/api/notifications/preferences");
    fill(main, el("h1", {}, "What we may tell you"), ...preferences.map((each) => row(each, locale)), el("p", {}, el("a", { href: homeOf(who.groups) }, "Back")));
  } catch (error) {
    fill(main, failed(error, refresh));
  }
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

document.getElementById("sign-out").addEventListener("click", signOut);
if (who) refresh();
else signIn();
