/** The messages tab, the same for everybody. */

import { get, post } from "../lib/api.js";
import { el, time } from "../lib/dom.js";
import { action } from "../lib/shell.js";

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
        el("h2.row", {}, each.title, !each.readAt && el("span.pill", {}, "new")),
        el("p", {}, each.text),
        el("p.quiet", {}, time(each.createdAt)),
      ),
    ),
    !notifications.length && el("p.card", {}, "Nothing yet."),
    el("p", {}, el("a", { href: "/console/settings.html" }, "Notification settings")),
  ];
}
