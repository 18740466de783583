/** The operators' page: health, sessions, mechanics, plans, cases, dead letters. */

import { oneDispute } from "../desk/disputes.js";
import { mechanic, mechanics } from "../desk/mechanics.js";
import { plan, plans } from "../desk/plans.js";
import { session } from "../desk/session.js";
import { sessions } from "../desk/sessions.js";
import { every } from "../lib/dom.js";
import { start } from "../lib/shell.js";
import { cases, oneCase } from "../desk/cases.js";
import { deadLetters } from "../desk/dead-letters.js";
import { health } from "../desk/health.js";

const page = start("admins", {
  health: { title: "Health", show: health },
  sessions: { title: "Sessions", show: (query) => sessions(query, page.refresh) },
  mechanics: { title: "Mechanics", show: (query) => mechanics(query, page.refresh) },
  plans: { title: "Plans", show: plans },
  cases: { title: "Cases", show: cases },
  "dead-letters": { title: "Dead letters", show: () => deadLetters(page.refresh) },
  session: { title: "Session", show: (query) => session(query, page.refresh), hidden: true },
  mechanic: { title: "Mechanic", show: (query) => mechanic(query, page.refresh), hidden: true },
  plan: { title: "Plan", show: (query) => plan(query, page.refresh), hidden: true },
  dispute: { title: "Dispute", show: (query) => oneDispute(query, page.refresh), hidden: true },
  case: { title: "Case", show: (query) => oneCase(query, page.refresh), hidden: true },
});
if (page) every(15, () => ["", "#health"].includes(location.hash) && page.refresh());
