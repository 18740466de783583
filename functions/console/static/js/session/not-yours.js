/** What stands in place of a session that the reader may not see: the API does not say whether there is one. */

import { homeOf, signedIn, signOut } from "../api/auth.js";
import { el } from "../lib/dom.js";

export function notYours() {
  const { name, groups } = signedIn();
  return el(
    "section",
    { role: "alert", class: "card" },
    el("h1", {}, "This session is not yours"),
    el("p", {}, "Only the customer and the mechanic of a session can open it. The link may be for another account, or cut short."),
    el("p.quiet", {}, name ? `You are signed in as ${name}.` : "You are signed in."),
    el("p.row", {}, el("a.button.primary", { href: homeOf(groups) }, "Your own page"), el("button", { type: "button", onclick: signOut }, "Sign in as somebody else")),
  );
}
