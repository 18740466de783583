/** The front page: what it is and costs, signing in, and sending a signed-in person to their home page. */

import { finishSignIn, homeOf, signedIn, signIn } from "../api/auth.js";
import { announce, el, money, ready } from "../lib/dom.js";
import { means, packWords } from "../lib/prices.js";

const HERE = new URL("/console/index.html", location.origin).href;
const enter = () => signIn(HERE).catch((error) => announce(error.message, "error"));

/** The prices as they are now; without them, the page says everything else. */
async function prices() {
  const response = await fetch("/api/plans").catch(() => null);
  if (!response?.ok) return;
  const { plans } = await response.json();
  const free = plans.find(({ priceCents }) => priceCents === 0);
  const paid = plans.filter(({ priceCents }) => priceCents > 0).sort((one, other) => one.priceCents - other.priceCents)[0];
  const words = [free && `Free for ${free.includedMinutes} minutes`, paid && `from ${money(paid.priceCents, paid.currency)} for ${paid.includedMinutes}`];
  document.getElementById("plans").replaceChildren(...plans.map(card));
  document.getElementById("from").textContent = words.filter(Boolean).join(", ");
}

function card(plan) {
  const { name, priceCents, currency } = plan;
  return el("section.card", {}, el("h3", {}, name), el("p.big", {}, priceCents === 0 ? "Free" : money(priceCents, currency)), el("p.quiet", {}, means(plan)), packWords(plan));
}

for (const id of ["sign-in", "ask"]) ready(id, enter);
document.getElementById("mechanics").addEventListener("click", (event) => {
  event.preventDefault();
  enter();
});
prices();

try {
  const wanted = await finishSignIn();
  const who = signedIn();
  if (who) location.replace(wanted && wanted !== HERE ? wanted : homeOf(who.groups));
} catch (error) {
  announce(error.message, "error");
}
