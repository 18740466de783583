/** The mechanics tab of operators: who there is, one of them with what was done to them, suspending, adding. */

import { get, patch, post } from "../api/api.js";
import { table } from "../lib/components.js";
import { announce, confirmed, el, pill, time } from "../lib/dom.js";
import { field, showErrors, values } from "../lib/form.js";
import { action, busy } from "../lib/shell.js";
import { record } from "./record.js";

const AVAILABILITIES = [
  ["", "All"],
  ["available", "Available now"],
  ["in_session", "In a session"],
];

/**
 * @param {URLSearchParams} query
 * @param {function(): Promise<void>} refresh
 */
export async function mechanics(query, refresh) {
  const [{ mechanics: found, nextCursor }, { workshops }] = await Promise.all([get(`/api/admin/mechanics?${query}`), get("/api/admin/workshops")]);
  const rows = found.map((each) => [el("a", { href: `#mechanic?id=${each.mechanicId}` }, each.name), each.workshopName ?? "–", standing(each), suspending(each, refresh)]);
  const chosen = query.get("standing") ?? "";
  const shown = AVAILABILITIES.map(([value, label]) => el("option", { value, selected: value === chosen }, label));
  const filter = el("select", { id: "standing", onchange: ({ target }) => (location.hash = target.value ? `#mechanics?standing=${target.value}` : "#mechanics") }, shown);
  const next = new URLSearchParams({ ...(chosen && { standing: chosen }), cursor: nextCursor });
  return [
    el("h1", {}, "Mechanics"),
    el("div.row", {}, el("div", {}, el("label", { for: "standing" }, "Show"), filter)),
    found.length ? table(["Name", "Workshop", "State", "(Change)"], rows, { caption: "Mechanics" }) : el("p.card", {}, "No mechanics match."),
    nextCursor && el("p", {}, el("a.button", { href: `#mechanics?${next}` }, "More")),
    newMechanic(workshops, refresh),
  ];
}

function standing({ status, sessionId, available }) {
  if (status === "suspended") return el("span.bad", {}, "Suspended");
  if (sessionId) return el("a", { href: `#session?id=${sessionId}` }, "in a session");
  return available ? el("span.good", {}, "available") : "away";
}

/** One mechanic. */
export async function mechanic(query, refresh) {
  const id = encodeURIComponent(query.get("id"));
  const [found, changes] = await Promise.all([get(`/api/admin/mechanics/${id}`), get(`/api/admin/changes?mechanicId=${id}&limit=50`)]);
  const facts = [
    ["State", standing(found)],
    ["Since", found.suspendedAt && time(found.suspendedAt)],
    ["What they read", found.suspensionReason],
    ["Workshop", found.workshopName ?? "independent"],
    ["E-mail", found.email && el("a", { href: `mailto:${found.email}` }, found.email)],
    ["Joined", time(found.createdAt)],
  ].filter(([, value]) => value);
  return [
    el("h1", {}, found.name),
    el("dl.card.facts", {}, facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    found.affected.length > 0 && el("section.card", { "aria-label": "With them now" }, el("h2", {}, "With them now"), el("ul.moves", {}, found.affected.map((each) => el("li", {}, el("p.row", {}, el("a", { href: `#session?id=${each.sessionId}` }, each.customerName), pill(each.status)))))),
    el("p", {}, suspending(found, refresh)),
    record(changes),
    el("p", {}, el("a", { href: "#mechanics" }, "All mechanics")),
  ];
}

/** The button that suspends a mechanic or ends that. */
function suspending(each, refresh) {
  const id = `state-${each.mechanicId}`;
  if (each.status === "active") return action("Suspend", () => suspend(each, refresh), { id, "aria-label": `Suspend ${each.name}`, "aria-haspopup": "dialog" });
  const reinstate = async () => {
    await patch(`/api/admin/mechanics/${each.mechanicId}`, { status: "active" });
    await refresh();
  };
  return action("Reinstate", reinstate, { id, "aria-label": `Reinstate ${each.name}` });
}

/** Says whom it affects now, and asks for the reason. */
async function suspend({ mechanicId, name }, refresh) {
  const { affected } = await get(`/api/admin/mechanics/${mechanicId}`);
  const named = (...states) => affected.filter(({ status }) => states.includes(status)).map(({ customerName }) => customerName).join(", ");
  const whom = [
    named("live") && `${name} is talking to ${named("live")} now, which goes on until somebody ends it.`,
    named("waiting", "scheduled") && `${named("waiting", "scheduled")} waits for ${name}, and goes back to the queue.`,
    named("offered") && `What ${named("offered")} asked of ${name} goes back to the queue.`,
    affected.length === 0 && "Nobody is with them or waits for them now.",
  ];
  const detail = [...whom, "They see no requests any more. What they have earned stays theirs, and is held until they are reinstated. Your name is recorded."].filter(Boolean).join(" ");
  const words = field("reason", "Why: they read this", { tag: "textarea", maxlength: 500, required: true, hint: "It stands on their page until they are reinstated." });
  if (!(await confirmed(`Suspend ${name}?`, "Suspend", { detail, also: words, no: "Leave it", kind: "danger" }))) return;
  await patch(`/api/admin/mechanics/${mechanicId}`, { status: "suspended", suspensionReason: words.querySelector("textarea").value.trim() });
  announce(`${name} is suspended.`);
  await refresh();
}

function newMechanic(workshops, refresh) {
  const submit = el("button.primary", { type: "submit" }, "Add");
  const choices = [el("option", { value: "" }, "None: independent"), ...workshops.map((each) => el("option", { value: each.workshopId }, each.name))];
  const form = el(
    "form.card",
    {},
    el("h2", {}, "Add a mechanic"),
    el("div.grid", {}, field("userId", "User id", { required: true, autocomplete: "off", hint: "The “sub” of their token." }), field("name", "Name, as customers see it", { required: true }), field("email", "E-mail (for payouts)", { type: "email" }), field("workshopId", "Workshop", { tag: "select" }, ...choices)),
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
      await refresh();
    });
  });
  return form;
}
