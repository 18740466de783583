/** The frame of every signed-in person's page: who they are, signing out, and the way past the header. */

import { signedIn, signOut } from "../api/auth.js";
import { leave } from "../api/push.js";
import { face } from "./components.js";
import { el, ready } from "./dom.js";

const ROLES = { admins: "Operator", mechanics: "Mechanic", customers: "Customer" };

/** Shows who is signed in, and gives the header's controls their work. */
export function frame() {
  ready("sign-out", () => leave(signOut));
  // not a plain link: the address after "#" is the tab
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById("main").focus();
  });
  named();
}

/** Writes who is signed in; again once they have said their name. */
export function named() {
  const who = signedIn();
  if (!who) return;
  const role = ROLES[Object.keys(ROLES).find((group) => who.groups.includes(group))] ?? "Customer";
  const name = who.name ?? JSON.parse(sessionStorage.getItem("autodoctor.contact") ?? "{}").name;
  const shown = name ? [face(name), el("span.name", {}, name), el("span.unseen", {}, `, ${role}`)] : [el("span.name", {}, role)];
  document.getElementById("who").replaceChildren(el("span.unseen", {}, "Signed in as "), ...shown);
}
