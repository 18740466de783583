/** The session health tab, in the order in which one acts: alerts, who waits, money and schedules, then the last day. */

import { get } from "../api/api.js";
import { lines, stackedBars } from "../lib/chart.js";
import { table } from "../lib/components.js";
import { count, duration, el, moment, money, time } from "../lib/dom.js";
import { plain, reasonWords, severityWords, stateWords } from "../lib/states.js";

const SAMPLE = 10; // sessions; fewer say nothing about a percentage

/** What each alert is, and what to do about it. */
const ALERTS = {
  wrongly_marked: ["Ended with another outcome than the evidence gives", "Open each and compare its evidence; verify and repair are in the README."],
  stuck_live: ["Still live although nobody is there", "End them; then look at Schedules below: a sweep should have done it."],
  waiting_too_long: ["Waiting for too long", "Ask a mechanic to take it, or end it with a reason that the customer reads."],
  completed_without_settlement: ["Completed, and no money moved", "Look at the dead letters of Payouts and refunds."],
  completion_low: ["Too few sessions are completed", "Read below why they ended."],
  no_show_high: ["Too often somebody did not come", "Read below when, and at which mechanics."],
  mechanic_completion_low: ["Too few sessions completed by", "Talk to them before you suspend them."],
  mechanic_no_show_high: ["Too often absent:", "Talk to them before you suspend them."],
};

/** Fetches and shows everything, in the order in which one acts; every number links to the sessions it counts. */
export async function health() {
  const found = await get("/api/admin/session-health");
  const day = `From ${time(found.from)} to ${time(found.to)}, your time.`;
  return [
    el("h1.row", {}, "Session health", el("span.quiet.stamp", {}, `as of ${new Date(found.asOf).toLocaleTimeString()}`)),
    alerts(found.alerts),
    first(found),
    el("div.halves", {}, stuck(found.moneyStuck), schedules(found.schedules)),
    el("h2", {}, "The last 24 hours"),
    el("p.quiet", {}, day),
    el("div.grid.tiles", {}, score(found), tiles(found.metrics)),
    stackedBars("Ended by the hour, your time", found.hourly.map((hour) => ({ label: `${new Date(hour.periodStart).getHours()}:00`, values: hour })), { completed: "Completed", cancelled: "Cancelled", expired: "Expired" }),
    el("div.halves", {}, lines("Sessions by state", found.statusDistribution.map(({ status, count, list }) => ({ label: stateWords(status), count, href: listed(list) }))), revenue(found.revenueImpact)),
  ];
}

/** The address in this page of a list that the API names by its route. */
function listed(route) {
  return route ? `#sessions?${route.split("?")[1] ?? ""}` : null;
}

function tile(label, value, { href, kind, note } = {}) {
  const shown = value === null || value === undefined ? "–" : value;
  return el("div.card", {}, el("p.quiet", {}, label), el(`p.big.number${kind ? `.${kind}` : ""}${shown === 0 ? ".none" : ""}`, {}, href ? el("a", { href, "aria-label": `${label}: ${shown}` }, shown) : shown), note && el("p.quiet", {}, note));
}

function first({ now }) {
  const { oldestWaiting: oldest, offers } = now;
  const since = `last ${offers.minutes} minutes`;
  const recent = (offer) => listed(`?offer=${offer}&from=${new Date(Date.now() - offers.minutes * 60000).toISOString()}`);
  return el(
    "section",
    { "aria-label": "Now" },
    el(
      "div.card.row",
      { id: "oldest" },
      oldest
        ? [el("p", {}, "Longest waiting: ", el("strong", {}, oldest.customerName), `, ${duration(oldest.seconds)}`, oldest.urgent && [" ", el("span.pill.bad", {}, "Urgent")]), el("a.button.primary", { href: `#session?id=${oldest.sessionId}` }, "Help them")]
        : el("p.good", {}, "Nobody is waiting."),
    ),
    el(
      "div.grid.tiles",
      {},
      tile("Waiting", now.waiting, { href: listed("?status=queued") }),
      tile("Offered", now.offered, { href: listed("?status=offered") }),
      tile("Accepted, not begun", now.accepted, { href: listed("?status=waiting") }),
      tile("Live", now.live, { href: listed("?status=live") }),
      tile("Mechanics available", now.mechanicsAvailable, { href: "#mechanics?standing=available", kind: now.waiting > 0 && now.mechanicsAvailable === 0 ? "bad" : "", note: el("a", { href: "#mechanics?standing=in_session" }, `${now.mechanicsInSession} in a session`) }),
      tile("Offers accepted", offers.accepted, { href: recent("accepted"), note: since }),
      tile("Offers declined", offers.declined, { href: recent("declined"), note: since }),
      tile("Offers lapsed", offers.lapsed, { href: recent("lapsed"), kind: offers.lapsed > 0 ? "warn" : "", note: since }),
    ),
  );
}

/** The score, computed from the sessions that ended in its period and the active ones. */
function score({ score: { value, status, formula, sessions }, metrics }) {
  const ended = metrics.find(({ name }) => name === "ended");
  const counted = [
    el("a", { href: listed(ended.list) }, `${count(ended.value, "session")} ended`),
    sessions > ended.value && [", ", el("a", { href: listed("?status=active") }, `${sessions - ended.value} active`)],
  ];
  const isFew = ended.value < SAMPLE;
  const kind = isFew ? "" : ({ excellent: "good", good: "good", fair: "warn", poor: "bad", critical: "bad" }[status] ?? "");
  const words = isFew ? `Too few to judge: it takes ${SAMPLE} that ended. ` : `${plain(status)}, of 100. `;
  return el("div.card", { id: "score" }, el("p.quiet", {}, "Score"), el(`p.big.number${kind ? `.${kind}` : ""}`, {}, isFew || value === null ? "–" : Math.round(value)), el("p", {}, words, counted.flat()), el("details", {}, el("summary", {}, "How it is computed"), el("p.quiet", {}, formula)));
}

function tiles(metrics) {
  const units = { percent: (value) => `${Math.round(value * 10) / 10} %`, seconds: duration, sessions: (value) => value };
  const few = (metrics.find(({ name }) => name === "ended")?.value ?? 0) < SAMPLE;
  const judged = few ? {} : { low: "bad", high: "bad", ok: "good" };
  return metrics.map(({ name, value, unit, limit, status, list }) =>
    tile(label(name), value === null ? null : units[unit](value), { href: listed(list), kind: judged[status], note: limit === null ? null : `${name.startsWith("completion") ? "at least" : "at most"} ${limit} ${unit === "percent" ? "%" : ""}`.trim() }),
  );
}

function label(name) {
  const text = name.replace(/_percent$/, "").replace("average_seconds", "average length").replaceAll(/[_-]/g, " ");
  return text[0].toUpperCase() + text.slice(1);
}

function alerts({ critical, warning, sessions, limits }) {
  if (!sessions.length && !limits.length) return el("section.card", { id: "alerts" }, el("p.good", {}, el("strong", {}, "Nothing needs you right now.")));
  const rank = { critical: 0, warning: 1 };
  const told = [...sessions.map((each) => [each, el("a.button", { href: listed(each.list) }, `See ${count(each.count, "session")}`), `since ${time(each.oldestSince)}`]), ...limits.map((each) => [each, null, `${each.percent} % of ${count(each.sessions, "session")}, limit ${each.limit} %`])];
  const rows = told.sort(([one], [other]) => (rank[one.severity] ?? 2) - (rank[other.severity] ?? 2)).map(([each, way, facts]) => alert(each, way, facts));
  return el("section.card", { id: "alerts", class: critical ? "card urgent" : "card" }, el("h2", {}, `To do now: ${[critical && `${critical} to act on`, warning && `${warning} to watch`].filter(Boolean).join(", ")}`), el("ul.alerts", {}, rows));
}

/** One alert: how bad, what it is, since when, and what to do. */
function alert({ alert: name, severity, mechanicName }, way, facts) {
  const [what, todo] = ALERTS[name] ?? [label(name), ""];
  return el("li", {}, el("span.pill", { "data-severity": severity }, severityWords(severity)), el("div", {}, el("strong", {}, what, mechanicName && ` ${mechanicName}`), el("span.quiet", {}, ` ${facts}`), el("p", {}, todo)), way);
}

function stuck(kinds) {
  const rows = kinds.map((each) => [label(each.kind), el("a", { href: listed(each.list) }, each.count), each.cents === null ? "–" : money(each.cents), moment(each.since)]);
  return el("section.card", {}, el("h2", {}, "Money that waits or is stuck"), table(["(What)", "How many", "Amount", "Since"], rows, { numbers: [1, 2], isNamed: true, isPlain: true }));
}

function revenue(impact) {
  const rows = impact.byReason.map((each) => [reasonWords(each.endReason), el("a", { href: listed(each.list) }, each.sessions), money(each.cardCents), money(each.refundedCents)]);
  return el(
    "section.card",
    {},
    el("h2", {}, "Revenue impact"),
    el("p", {}, `${count(impact.sessions, "session")} not completed: ${money(impact.cardCents)} in card payments, ${count(impact.credits, "credit")}.`),
    rows.length > 0 && table(["Why", "Sessions", "Prices", "Refunded"], rows, { numbers: [1, 2, 3], isNamed: true }),
  );
}

function schedules(runs) {
  const rows = runs.map((each) => [label(each.name), moment(each.lastRun), moment(each.nextRun), each.state]);
  return el("section.card", {}, el("h2", {}, "Schedules"), table(["Name", "Last run", "Next run", "State"], rows, { isNamed: true, isPlain: true }));
}
