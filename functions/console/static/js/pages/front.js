/** The front page: signs in, and sends a signed-in person to their home page. */

import { finishSignIn, homeOf, signedIn, signIn } from "../lib/auth.js";
import { announce, ready } from "../lib/dom.js";

const HERE = new URL("/console/index.html", location.origin).href;

ready("sign-in", () => signIn(HERE).catch((error) => announce(error.message, "error")));

try {
  const wanted = await finishSignIn();
  const who = signedIn();
  if (who) location.replace(wanted && wanted !== HERE ? wanted : homeOf(who.groups));
} catch (error) {
  announce(error.message, "error");
}
