/** The settings of being called: in this browser while the page is closed, and by sound while it is open. */

import { get, post } from "../api/api.js";
import { chime, setVolume, volume } from "../lib/chime.js";
import { announce, count, el, time } from "../lib/dom.js";
import { beCalled, calledAs, notBeCalled, whyNot } from "../api/push.js";
import { action } from "../lib/shell.js";

const SERVICES = [
  [/\.googleapis\.com$/, "Chrome or its like"],
  [/\.mozilla\.com$/, "Firefox"],
  [/\.apple\.com$/, "Safari"],
  [/\.windows\.com$/, "Edge"],
];

/**
 * The sections of the settings page.
 * @param {string[]} groups the reader's
 * @param {function(): Promise<void>} refresh rebuilds the page
 */
export async function calling(groups, refresh) {
  const { subscriptions } = await get("/api/push/subscriptions");
  return [closed(subscriptions, groups, refresh), groups.includes("mechanics") && open()];
}

function closed(subscriptions, groups, refresh) {
  const here = subscriptions.find(({ subscriptionId }) => subscriptionId === calledAs());
  const what = groups.includes("mechanics") ? "when somebody waits for a mechanic" : "when a mechanic accepts or writes to you";
  const then = (work) => async () => {
    await work();
    await refresh();
  };
  return el(
    "section.card",
    { "aria-labelledby": "closed" },
    el("h2", { id: "closed" }, "Tell me when this page is closed"),
    el("p", {}, `This browser shows a notification ${what}, also when the page is hidden or closed.`),
    whyNot() && !here
      ? el("p.note", {}, whyNot())
      : el(
          "p.row",
          {},
          here ? action("Stop telling me here", then(notBeCalled), { id: "called" }) : action("Tell me in this browser", then(beCalled), { id: "called", kind: "primary" }),
          subscriptions.length > 0 && action("Try it", then(tryOut), { id: "try-call" }),
        ),
    subscriptions.length > 0 && el("ul", {}, subscriptions.map((each) => browser(each, each === here, then))),
  );
}

function browser({ subscriptionId, service, madeAt, calledAt }, here, then) {
  const end = then(() => post(`/api/push/subscriptions/${subscriptionId}/end`));
  return el(
    "li.row",
    {},
    `${here ? "This browser" : "Another browser"} (${name(service)}), since ${time(madeAt)}${calledAt ? `, last told ${time(calledAt)}` : ""}`,
    !here && action("End", end, { "aria-label": `End, ${name(service)}, since ${time(madeAt)}` }),
  );
}

function name(service) {
  return SERVICES.find(([host]) => host.test(service))?.[1] ?? service;
}

async function tryOut() {
  const { sent, gone, failed } = await post("/api/push/test");
  const what = [`A trial is on its way to ${count(sent, "browser")}.`, gone && `${count(gone, "browser")} no longer there.`, failed && `${count(failed, "browser")} could not be reached.`];
  announce(what.filter(Boolean).join(" "), failed || !sent ? "error" : "info");
}

function open() {
  const slider = el("input", { type: "range", id: "volume", min: "0", max: "1", step: "0.1", value: String(volume()), oninput: ({ target }) => setVolume(target.value) });
  const test = async () => (await chime()) || announce(volume() ? "This browser makes no sound." : "The volume is at zero.", "error");
  return el(
    "section.card",
    { "aria-labelledby": "open" },
    el("h2", { id: "open" }, "While the page is open"),
    el("p", {}, "A new request sounds, again every ten seconds until you look, and is counted in the page's title and icon."),
    el("p.row", {}, el("label", { for: "volume" }, "Volume"), slider, action("Hear it", test, { id: "hear" })),
  );
}
