/** The operators' page: health, sessions, mechanics, cases, dead letters. */

import { get, patch, post } from "../lib/api.js";
import { cases, oneCase } from "../parts/cases.js";
import { deadLetters } from "../parts/dead-letters.js";
import { announce, confirmed, duration, el, every, head, money, pill, time } from "../lib/dom.js";
import { field, showErrors, values } from "../lib/form.js";
import { health } from "../parts/health.js";
import { action, busy, start } from "../lib/shell.js";
import { eventName, fundingWords, plain, reasonWords, severityWords, stateWords, typeWords } from "../lib/states.js";
import { eventWords } from "../room/words.js";

const FILTERS = [
  ["status=active", "Active"],
  ["status=queued", "Waiting for a mechanic"],
  ["status=live", "Live"],
  ["status=scheduled", "Booked"],
  ["status=completed", "Completed"],
  ["status=cancelled", "Cancelled"],
  ["status=expired", "Expired"],
];

const AVAILABILITIES = [
  ["", "All"],
  ["available", "Available now"],
  ["in_session", "In a session"],
];

async function sessions(query) {
  const asked = query.size ? query : new URLSearchParams("status=active");
  const { sessions: found, nextCursor } = await get(`/api/admin/sessions?${asked}`);
  const chosen = [...asked].filter(([name]) => name !== "cursor").map((pair) => pair.join("=")).join("&");
  const filter = el(
    "select",
    { id: "filter", onchange: ({ target }) => (location.hash = `#sessions?${target.value}`) },
    FILTERS.some(([value]) => value === chosen) ? null : el("option", { value: chosen, selected: true }, chosen.replaceAll("&", ", ")),
    FILTERS.map(([value, label]) => el("option", { value, selected: value === chosen }, label)),
  );
  const open = (event) => {
    event.preventDefault();
    const id = new FormData(event.target).get("id").trim();
    if (id) location.hash = `#session?id=${encodeURIComponent(id)}`;
  };
  const rows = found.map((each) =>
    el(
      "tr",
      {},
      el("td", {}, el("a", { href: `#session?id=${each.sessionId}` }, time(each.at))),
      el("td", {}, pill(each.status), each.severity && el("span.pill", { "data-severity": each.severity }, severityWords(each.severity))),
      el("td", {}, each.customerName),
      el("td", {}, each.mechanicName ?? "–"),
      el("td", {}, `${plain(each.plan)} · ${fundingWords(each.funding)}`),
      el("td.number", {}, each.priceCents ? money(each.priceCents) : "–"),
      el("td", {}, reasonWords(each.endReason) ?? (each.assignmentStatus ? stateWords(each.assignmentStatus) : "–")),
    ),
  );
  const next = nextCursor && new URLSearchParams([...[...asked].filter(([name]) => name !== "cursor"), ["cursor", nextCursor]]);
  return [
    el("h1", {}, "Sessions"),
    el(
      "div.row",
      {},
      el("div", {}, el("label", { for: "filter" }, "Show"), filter),
      el("form.row", { onsubmit: open }, el("div", {}, el("label", { for: "session-id" }, "Session id"), el("input", { id: "session-id", name: "id", autocomplete: "off" })), el("button", { type: "submit" }, "Open")),
    ),
    found.length
      ? el("div.scroll", {}, el("table", {}, head("Since", "State", "Customer", "Mechanic", "Plan", "Price", "Why"), el("tbody", {}, rows)))
      : el("p.card", {}, "No sessions match."),
    next && el("p", {}, el("a.button", { href: `#sessions?${next}` }, "More")),
  ];
}

async function session(query) {
  const id = query.get("id");
  const detail = await get(`/api/sessions/${encodeURIComponent(id)}`);
  const end = async () => {
    const detail = "It ends for the customer and the mechanic and cannot be reopened. The recorded evidence decides whether it is paid for. Your name is recorded as the one who ended it.";
    const words = field("explanation", "What both may read about it", { tag: "textarea", maxlength: 500, hint: "Optional. It is in their e-mails and on the session's page." });
    if (!(await confirmed("End this session?", "End it now", { detail, also: words, no: "Leave it", kind: "danger" }))) return;
    const explanation = words.querySelector("textarea").value.trim();
    const { status, reason } = await post(`/api/sessions/${id}/end`, explanation ? { explanation } : {});
    announce(`${stateWords(status)}: ${reasonWords(reason).toLowerCase()}.`);
    await page.refresh();
  };
  const facts = [
    ["Customer", detail.participants.find(({ role }) => role === "customer")?.name],
    ["Mechanic", detail.participants.find(({ role }) => role === "mechanic")?.name],
    ["Plan", `${plain(detail.plan)}, ${typeWords(detail.sessionType).toLowerCase()}, ${fundingWords(detail.funding).toLowerCase()}`],
    ["Asked", time(detail.createdAt)],
    ["Waiting since", time(detail.queuedAt)],
    ["Started", time(detail.startedAt)],
    ["Ended", time(detail.endedAt)],
    ["Together", detail.durationSeconds === null ? null : duration(detail.durationSeconds)],
    ["Why", reasonWords(detail.reason)],
    ["What we said of it", detail.explanation],
  ].filter(([, value]) => value && value !== "–");
  return [
    el("h1", {}, "Session"),
    el("p.row", {}, pill(detail.status), pill(detail.assignmentStatus), el("code", {}, detail.sessionId)),
    el("section.card", {}, el("p", {}, detail.concern), el("p.quiet", {}, ["year", "make", "model", "vin"].map((name) => detail.vehicle[name]).filter(Boolean).join(" "))),
    el("dl.card.facts", {}, facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    detail.endedAt !== null && el("p", {}, el("a.button", { href: `#case?id=${detail.sessionId}` }, "Money, evidence and transcript")),
    detail.endedAt === null && el("p", {}, action("End this session", end, { kind: "danger", id: "end", "aria-haspopup": "dialog" })),
    el("section.card", {}, el("h2", {}, "Timeline"), timeline(detail.timeline)),
  ];
}

function timeline(events) {
  const rows = events.map((each) => el("tr", {}, el("td.number", {}, new Date(each.at).toISOString().replace("T", " ").slice(0, 23)), el("td", {}, eventWords(each) ?? eventName(each.event)), el("td.quiet", {}, each.actor)));
  return el("div.scroll", {}, el("table", {}, head("When (UTC)", "What", "By"), el("tbody", {}, rows)));
}

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
  sessions: { title: "Sessions", show: sessions },
  mechanics: { title: "Mechanics", show: mechanics },
  cases: { title: "Cases", show: cases },
  "dead-letters": { title: "Dead letters", show: () => deadLetters(page.refresh) },
  session: { title: "Session", show: session, hidden: true },
  case: { title: "Case", show: (query) => oneCase(query, page.refresh), hidden: true },
});
if (page) every(15, () => ["", "#health"].includes(location.hash) && page.refresh());
