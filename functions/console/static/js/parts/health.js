/** The session health tab: the most urgent numbers first, then score, alerts, money and the course by hour. */

import { get } from "../lib/api.js";
import { lines, stackedBars } from "../lib/chart.js";
import { count, duration, el, head, money, time } from "../lib/dom.js";

/** Fetches and shows everything; every number links to the sessions it counts. */
export async function health() {
  const found = await get("/api/admin/session-health");
  return [
    el("h1.row", {}, "Session health", el("span.quiet.stamp", {}, `as of ${new Date(found.asOf).toLocaleTimeString()}`)),
    first(found),
    el("div.grid.tiles", {}, score(found), tiles(found.metrics)),
    alerts(found.alerts),
    el("div.halves", {}, stuck(found.moneyStuck), revenue(found.revenueImpact)),
    lines("Sessions by state", found.statusDistribution.map(({ status, count, list }) => ({ label: status, count, href: listed(list) }))),
    stackedBars("Ended by the hour (UTC)", found.hourly.map((hour) => ({ label: `${new Date(hour.periodStart).getUTCHours()}:00`, values: hour })), ["completed", "cancelled", "expired"]),
    schedules(found.schedules),
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
        ? [el("p", {}, "Longest waiting: ", el("strong", {}, oldest.customerName), `, ${duration(oldest.seconds)}`, oldest.urgent && el("span.pill.bad", {}, "urgent")), el("a.button.primary", { href: `#session?id=${oldest.sessionId}` }, "Open the session")]
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
  const kind = { excellent: "good", good: "good", fair: "warn", poor: "bad" }[status] ?? "";
  return el("div.card", { id: "score" }, el("p.quiet", {}, "Score"), el(`p.big.number${kind ? `.${kind}` : ""}`, {}, value === null ? "–" : Math.round(value)), el("p", {}, `${status.replaceAll("_", " ")} · `, counted.flat()), el("details", {}, el("summary", {}, "How it is computed"), el("p.quiet", {}, formula)));
}

function tiles(metrics) {
  const units = { percent: (value) => `${Math.round(value * 10) / 10} %`, seconds: duration, sessions: (value) => value };
  const judged = { low: "bad", high: "bad", ok: "good" };
  return metrics.map(({ name, value, unit, limit, status, list }) =>
    tile(label(name), value === null ? null : units[unit](value), { href: listed(list), kind: judged[status], note: limit === null ? null : `limit ${limit}` }),
  );
}

function label(name) {
  const text = name.replace(/_percent$/, "").replace("average_seconds", "average length").replaceAll("_", " ");
  return text[0].toUpperCase() + text.slice(1);
}

function alerts({ critical, warning, sessions, limits }) {
  if (!sessions.length && !limits.length) return el("section.card", { id: "alerts" }, el("h2", {}, "Alerts"), el("p.good", {}, "No alerts."));
  const rank = { critical: 0, warning: 1 };
  const severity = (each) => el("span.pill", { "data-severity": each.severity }, each.severity);
  const rows = [
    ...sessions.map((each) => [each, el("td", {}, label(each.alert)), el("td", {}, el("a", { href: listed(each.list) }, each.count)), el("td", {}, `since ${time(each.oldestSince)}`)]),
    ...limits.map((each) => [each, el("td", {}, label(each.alert), each.mechanicName && ` of ${each.mechanicName}`), el("td.number", {}, `${each.percent} %`), el("td", {}, `limit ${each.limit} %, ${each.sessions} sessions`)]),
  ].sort(([one], [other]) => (rank[one.severity] ?? 2) - (rank[other.severity] ?? 2));
  return el(
    "section.card",
    { id: "alerts" },
    el("h2", {}, `Alerts: ${critical} critical, ${warning} to watch`),
    el("div.scroll", {}, el("table", {}, head("Severity", "What", "How many", "Since or limit"), el("tbody", {}, rows.map(([each, ...cells]) => el("tr", {}, el("td", {}, severity(each)), ...cells))))),
  );
}

function stuck(kinds) {
  const rows = kinds.map((each) => el("tr", {}, el("th", { scope: "row" }, label(each.kind)), el("td.number", {}, el("a", { href: listed(each.list) }, each.count)), el("td.number", {}, each.cents === null ? "–" : money(each.cents)), el("td", {}, each.since ? `since ${time(each.since)}` : "")));
  return el("section.card", {}, el("h2", {}, "Money that is stuck"), el("div.scroll", {}, el("table", {}, el("tbody", {}, rows))));
}

function revenue(impact) {
  const rows = impact.byReason.map((each) => el("tr", {}, el("th", { scope: "row" }, label(each.endReason)), el("td.number", {}, el("a", { href: listed(each.list) }, each.sessions)), el("td.number", {}, money(each.cardCents)), el("td.number", {}, money(each.refundedCents))));
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
