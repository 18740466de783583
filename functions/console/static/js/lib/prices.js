/** What a plan gives and what is asked for it, in words that the pages share. */

import { count, el, money } from "./dom.js";
import { typeWords } from "./states.js";

/** What is asked for something, by either way to pay: "1 credit" with `credit`, else "$9.99". */
export function cost({ credits, priceCents, currency }, payWith) {
  return payWith === "credit" ? count(credits, "credit") : money(priceCents, currency);
}

/** "30 minutes by chat". */
export function means({ includedMinutes, sessionTypes }) {
  return `${count(includedMinutes, "minute")} by ${list(sessionTypes.map((type) => typeWords(type).toLowerCase()), "or")}`;
}

/** What more of them cost, when they are over: "15 more minutes: $5.99"; one line for each pack. */
export function packWords({ minutePacks, currency }) {
  return minutePacks.map(({ minutes, priceCents }) => el("span.quiet.small", {}, `${minutes} more minutes: ${money(priceCents, currency)}`));
}

function list(words, last) {
  return words.join(", ").replace(/, ([^,]*)$/, ` ${last} $1`);
}
