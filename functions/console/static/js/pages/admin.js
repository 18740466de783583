/** The operators' page: health, sessions, mechanics, cases, dead letters. */

import { session } from "../desk/session.js";
import { sessions } from "../desk/sessions.js";
import { get, patch, post } from "../lib/api.js";
import { announce, confirmed, el, every, head } from "../lib/dom.js";
import { field, showErrors, values } from "../lib/form.js";
import { action, busy, start } from "../lib/shell.js";
import { cases, oneCase } from "../parts/cases.js";
import { deadLetters } from "../parts/dead-letters.js";
import { health } from "../parts/health.js";

const AVAILABILITIES = [
  ["", "All"],
  ["available", "Available now"],
  ["in_session", "In a session"],
];

async function mechanics(query) {
  const [{ mechanics: found, nextCursor }, { workshops }] = await Promise.all([get(`/api/admin/mechanics?${query}`), get("/api/admin/workshops")]);
  const change = (each, body) => async () => {
    if (body.status === "suspended" && !(await sureToSuspend(each))) return;
    await patch(`/api/admin/mechanics/${each.mechanicId}`, body);
    await page.refresh();
  };
  const rows = found.map((each) =>
    el(
      "tr",
      {},
      el("td", {}, each.name),
      el("td", {}, each.workshopName ?? "–"),
      el("td", {}, each.status === "suspended" ? el("span.bad", {}, "Suspended") : each.sessionId ? el("a", { href: `#session?id=${each.sessionId}` }, "in a session") : each.available ? el("span.good", {}, "available") : "away"),
      el("td", {}, each.status === "active" ? action("Suspend", change(each, { status: "suspended" }), { id: `state-${each.mechanicId}`, "aria-label": `Suspend ${each.name}` }) : action("Reinstate", change(each, { status: "active" }), { id: `state-${each.mechanicId}`, "aria-label": `Reinstate ${each.name}` })),
    ),
  );
  const chosen = query.get("standing") ?? "";
  const shown = AVAILABILITIES.map(([value, label]) => el("option", { value, selected: value === chosen }, label));
  const filter = el("select", { id: "standing", onchange: ({ target }) => (location.hash = target.value ? `#mechanics?standing=${target.value}` : "#mechanics") }, shown);
  const next = new URLSearchParams({ ...(chosen && { standing: chosen }), cursor: nextCursor });
  return [
    el("h1", {}, "Mechanics"),
    el("div.row", {}, el("div", {}, el("label", { for: "standing" }, "Show"), filter)),
    found.length ? el("div.scroll", {}, el("table", {}, head("Name", "Workshop", "State", "(Change)"), el("tbody", {}, rows))) : el("p.card", {}, "No mechanics match."),
    nextCursor && el("p", {}, el("a.button", { href: `#mechanics?${next}` }, "More")),
    newMechanic(workshops),
  ];
}

/** Resolves to true once the reader knows whom it affects, and confirms. */
function sureToSuspend({ name, sessionId }) {
  const now = sessionId ? `${name} is in a session now. It goes on until somebody ends it. ` : "";
  const detail = `${now}They see no requests any more, and what was offered to them goes back to the queue. What they have earned stays theirs. Your name is recorded.`;
  return confirmed(`Suspend ${name}?`, "Suspend", { detail, no: "Leave it", kind: "danger" });
}

function newMechanic(workshops) {
  const submit = el("button.primary", { type: "submit" }, "Add");
  const choices = [el("option", { value: "" }, "None: independent"), ...workshops.map((each) => el("option", { value: each.workshopId }, each.name))];
  const form = el(
    "form.card",
    {},
    el("h2", {}, "Add a mechanic"),
    el("div.grid", {}, field("userId", "User id (the sub of their token)", { required: true, autocomplete: "off" }), field("name", "Name, as customers see it", { required: true }), field("email", "E-mail (for payouts)", { type: "email" }), field("workshopId", "Workshop", { tag: "select" }, ...choices)),
    el("p", {}, submit),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(submit, async () => {
      try {
        await post("/api/admin/mechanics", values(form));
      } catch (problem) {
        if (!showErrors(form, problem)) throw problem;
        return;
      }
      form.reset();
      announce("Added.");
      await page.refresh();
    });
  });
  return form;
}

const page = start("admins", {
  health: { title: "Health", show: health },
  sessions: { title: "Sessions", show: (query) => sessions(query, page.refresh) },
  mechanics: { title: "Mechanics", show: mechanics },
  cases: { title: "Cases", show: cases },
  "dead-letters": { title: "Dead letters", show: () => deadLetters(page.refresh) },
  session: { title: "Session", show: (query) => session(query, page.refresh), hidden: true },
  case: { title: "Case", show: (query) => oneCase(query, page.refresh), hidden: true },
});
if (page) every(15, () => ["", "#health"].includes(location.hash) && page.refresh());
