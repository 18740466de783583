/** Web Push in this browser: asking for it, keeping it, and ending it. Which user it calls is known by the API. */

import { get, post } from "./api.js";

const KEPT = "autodoctor.called";
const SUBSCRIBING_MS = 20_000; // without a way to its push service a browser never answers

/** Why this browser cannot be called, in words; null where it can. */
export function whyNot() {
  if (!("serviceWorker" in navigator && "PushManager" in window && "Notification" in window)) {
    return "This browser cannot be called. On an iPhone, add the page to the home screen first.";
  }
  return Notification.permission === "denied" ? "Notifications of this page are blocked in this browser's settings." : null;
}

/** The id under which the API calls this browser, as far as it knows; null: it does not. */
export function calledAs() {
  return kept()?.subscriptionId ?? null;
}

/** Has this browser call the signed-in person, also while no page is open; to be called by a press of theirs. */
export async function beCalled() {
  if ((await Notification.requestPermission()) !== "granted") throw new Error("Notifications were not allowed.");
  await subscribe();
}

/** Ends it in this browser; the API forgets it too. */
export async function notBeCalled() {
  const { subscriptionId } = kept() ?? {};
  localStorage.removeItem(KEPT);
  const registration = await navigator.serviceWorker?.getRegistration("/console/");
  await (await registration?.pushManager.getSubscription())?.unsubscribe();
  if (subscriptionId) await post(`/api/push/subscriptions/${subscriptionId}/end`);
}

/** Sees to it that a browser that was to be called still is: it may have changed its address, or the API its key. */
export async function keepBeingCalled() {
  const before = kept();
  if (!before || whyNot() || Notification.permission !== "granted") return;
  const registration = await navigator.serviceWorker.register("/console/sw.js", { scope: "/console/" });
  const { endpoint } = (await registration.pushManager.getSubscription()) ?? {};
  if (endpoint !== before.endpoint) await subscribe();
}

/** Ends it for whoever signs out: the next person at this browser reads nothing of theirs. */
export async function leave(signOut) {
  if (kept()) await Promise.race([notBeCalled().catch(() => {}), new Promise((resolve) => setTimeout(resolve, 2000))]);
  await signOut();
}

async function subscribe() {
  const { publicKey } = await get("/api/push/subscriptions");
  await navigator.serviceWorker.register("/console/sw.js", { scope: "/console/" });
  const { pushManager } = await navigator.serviceWorker.ready;
  let subscription = await pushManager.getSubscription();
  if (subscription && keyOf(subscription) !== publicKey) {
    await subscription.unsubscribe();
    subscription = null;
  }
  subscription ??= await soon(pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: publicKey }));
  const { subscriptionId } = await post("/api/push/subscriptions", subscription.toJSON());
  localStorage.setItem(KEPT, JSON.stringify({ subscriptionId, endpoint: subscription.endpoint }));
}

function kept() {
  return JSON.parse(localStorage.getItem(KEPT) ?? "null");
}

/** The key that a subscription was made with, in base64url. */
function keyOf({ options }) {
  const bytes = new Uint8Array(options?.applicationServerKey ?? []);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function soon(promise) {
  const late = new Promise((_, refuse) => setTimeout(() => refuse(new Error("This browser does not reach its push service.")), SUBSCRIBING_MS));
  return Promise.race([promise, late]);
}
