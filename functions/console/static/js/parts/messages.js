/** The messages tab, the same for everybody. */

import { get, post } from "../api/api.js";
import { empty } from "../lib/components.js";
import { el, time } from "../lib/dom.js";
import { action } from "../lib/shell.js";

/** Whether its session is still open to the reader: not to a mechanic who has lost it. */
function leads({ kind, sessionId }) {
  return sessionId && kind !== "session_taken_back";
}

/** @param {function(): Promise<void>} refresh rebuilds the page */
export async function messages(refresh) {
  const { notifications, unreadCount } = await get("/api/notifications?limit=50");
  const read = async () => {
    await post("/api/notifications/read-all");
    await refresh();
  };
  return [
    el("h1", {}, "Messages"),
    unreadCount > 0 && action("Mark all as read", read),
    ...notifications.map((each) =>
      el(
        "article.card",
        {},
        el("h2.row", {}, each.title, !each.readAt && el("span.pill", { "data-tone": "next" }, "new")),
        el("p", {}, each.text),
        el("p.quiet", {}, time(each.createdAt), leads(each) && [" · ", el("a", { href: `/console/chat/${each.sessionId}` }, "See the session")]),
      ),
    ),
    !notifications.length && empty("No messages yet", "What happens with your requests and sessions is written here."),
    el("p", {}, el("a", { href: "/console/settings.html" }, "Notification settings")),
  ];
}
