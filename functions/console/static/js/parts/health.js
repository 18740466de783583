/** The session health tab, in the order in which one acts: alerts, who waits, money and schedules, then the last day. */

import { get } from "../lib/api.js";
import { lines, stackedBars } from "../lib/chart.js";
import { count, duration, el, head, money, time } from "../lib/dom.js";
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
  return el("div.card", {}, el("p.quiet", {}, label), el(`p.big.number${kind ? `.${kind}` : ""}`, {}, href ? el("a", { href, "aria-label": `${label}: ${shown}` }, shown) : shown), note && el("p.quiet", {}, note));
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
  return el("section.card", { id: "alerts", class: critical ? "card urgent" : "card" }, el("h2", {}, `To do now: ${critical} to act on, ${warning} to watch`), el("ul.alerts", {}, rows));
}

/** One alert: how bad, what it is, since when, and what to do. */
function alert({ alert: name, severity, mechanicName }, way, facts) {
  const [what, todo] = ALERTS[name] ?? [label(name), ""];
  return el("li", {}, el("span.pill", { "data-severity": severity }, severityWords(severity)), el("div", {}, el("strong", {}, what, mechanicName && ` ${mechanicName}`), el("span.quiet", {}, ` ${facts}`), el("p", {}, todo)), way);
}

function stuck(kinds) {
  const rows = kinds.map((each) => el("tr", {}, el("th", { scope: "row" }, label(each.kind)), el("td.number", {}, el("a", { href: listed(each.list) }, each.count)), el("td.number", {}, each.cents === null ? "–" : money(each.cents)), el("td", {}, each.since ? `since ${time(each.since)}` : "")));
  return el("section.card", {}, el("h2", {}, "Money that is stuck"), el("div.scroll", {}, el("table", {}, el("tbody", {}, rows))));
}

function revenue(impact) {
  const rows = impact.byReason.map((each) => el("tr", {}, el("th", { scope: "row" }, reasonWords(each.endReason)), el("td.number", {}, el("a", { href: listed(each.list) }, each.sessions)), el("td.number", {}, money(each.cardCents)), el("td.number", {}, money(each.refundedCents))));
  return el(
    "section.card",
    {},
    el("h2", {}, "Revenue impact"),
    el("p", {}, `${impact.sessions} sessions not completed: ${money(impact.cardCents)} in card payments, ${impact.credits} credits.`),
    el("div.scroll", {}, el("table", {}, head("Why", "Sessions", "Prices", "Refunded"), el("tbody", {}, rows))),
  );
}

function schedules(runs) {
  const rows = runs.map((each) => el("tr", {}, el("th", { scope: "row" }, label(each.name)), el("td", {}, time(each.lastRun)), el("td", {}, time(each.nextRun)), el("td", {}, each.state)));
  return el("section.card", {}, el("h2", {}, "Schedules"), el("div.scroll", {}, el("table", {}, head("Name", "Last run", "Next run", "State"), el("tbody", {}, rows))));
}
