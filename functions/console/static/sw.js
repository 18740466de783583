/** The service worker: shows a call of Web Push, also while no page is open, and takes it back when it is gone. */

const RINGS = ["request_waiting", "request_offered"]; // what waits for an answer, and is gone in two minutes

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("push", (event) => event.waitUntil(called(event.data?.json() ?? {})));
self.addEventListener("notificationclick", (event) => event.waitUntil(clicked(event.notification)));

/** A newer call about the same thing takes the place of the one that is shown. */
async function called({ kind, title, text, topic, url }) {
  if (kind === "withdrawn") {
    for (const shown of await self.registration.getNotifications({ tag: topic })) shown.close();
    return;
  }
  const rings = RINGS.includes(kind);
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  await self.registration.showNotification(title, {
    body: text,
    tag: topic,
    data: { url },
    icon: "/console/icon.svg",
    renotify: rings,
    requireInteraction: rings,
    silent: pages.some(({ visibilityState }) => visibilityState === "visible"), // the page says it by itself
  });
}

/** Leads to the page that it is about: one that is open, or a new one. */
async function clicked(notification) {
  notification.close();
  const target = new URL(notification.data.url, self.registration.scope);
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const open = pages.find(({ url }) => new URL(url).pathname === target.pathname);
  await (open ? open.focus() : self.clients.openWindow(target.href));
}
