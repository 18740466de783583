/** Shows every component of the console in every state that it has. */

import { empty, face, skeleton, steps, table } from "/console/js/lib/components.js";
import { lines, stackedBars } from "/console/js/lib/chart.js";
import { announce, confirmed, el, money, pill } from "/console/js/lib/dom.js";
import { box, field, showErrors } from "/console/js/lib/form.js";
import { action } from "/console/js/lib/shell.js";

const SESSION = ["scheduled", "pending", "waiting", "live", "completed", "cancelled", "expired"];
const REQUEST = ["pending_waiver", "queued", "offered", "accepted", "declined"];
const MONEY = ["due", "held", "sent", "failed", "returned", "reversed"];
const QUOTE = ["requested", "given", "approved", "superseded"];

const part = (id, title, ...content) => el("section", { id }, el("h2", {}, title), ...content);
const busyButton = () => el("button.primary", { "aria-disabled": "true", "aria-busy": "true" }, "Sending");

function buttons() {
  const dialog = () => confirmed("Cancel this request?", "Cancel the request", { detail: "It leaves the queue. Nothing is charged.", no: "Keep it", kind: "danger" });
  return part(
    "buttons",
    "Buttons",
    el("p.row", {}, el("button.primary", {}, "Primary"), el("button", {}, "Plain"), el("button.danger", {}, "Danger"), el("a.button", { href: "#buttons" }, "A link")),
    el("p.row", {}, el("button.primary", { disabled: true }, "Disabled"), el("button", { disabled: true }, "Disabled"), busyButton()),
    el("p.row", {}, action("Toast", () => announce("Saved.")), action("Failure", () => Promise.reject(new Error("The service cannot be reached."))), el("button", { id: "ask", onclick: dialog }, "Dialog")),
  );
}

function forms() {
  const wrong = el("form", { id: "wrong", novalidate: true }, field("email", "E-mail", { type: "email", value: "cora@" }), field("note", "What it does", { tag: "textarea" }), box("agreed", "I agree"));
  const options = ["The first available mechanic", "Mia Moreno"].map((name) => el("option", {}, name));
  const plan = (name, cents, checked) => el("label.card.plan", {}, el("input", { type: "radio", name: "plan", value: name, checked }), el("strong", {}, name), el("span.big", {}, cents ? money(cents) : "Free"), el("span.quiet", {}, "30 minutes by chat"));
  queueMicrotask(() => showErrors(wrong, { document: { errors: [{ pointer: "/email", detail: "must be an e-mail address" }, { pointer: "/note", detail: "Please fill this in" }, { pointer: "/agreed", detail: "Please agree to this first" }] } }));
  return part(
    "forms",
    "Fields",
    steps(["What is wrong", "Your car", "When and how", "Who you are"], 1),
    el("div.grid", {}, field("empty", "Empty", { placeholder: "Toyota" }), field("filled", "Filled in, with a hint", { value: "Corolla", hint: "As it stands on its back" }), field("mechanic", "Choice", { tag: "select" }, ...options), field("off", "Disabled", { disabled: true, value: "No" })),
    box("urgent", "It is urgent: I cannot drive any further", { checked: true }),
    el("fieldset.grid", {}, el("legend", {}, el("strong", {}, "Plan")), plan("Free consultation", 0, true), plan("Quick chat", 999, false)),
    wrong,
  );
}

function states() {
  const pills = (names) => el("p.row", {}, names.map(pill));
  return part("states", "States", pills(SESSION), pills(REQUEST), pills(MONEY), pills(QUOTE), el("p.row", {}, el("span.pill", { "data-severity": "critical" }, "Critical"), el("span.pill", { "data-severity": "warning" }, "To watch"), el("span.pill.bad", {}, "Urgent")));
}

function people() {
  const names = ["Mia Moreno", "Max Meyer", "Walt Weber", "Cora Castillo", "Cyrus Chen", "Ada Adler", "Renée"];
  return part("people", "Faces", el("p.row", {}, names.map((name) => el("span.row", {}, face(name), name))));
}

function data() {
  const rows = [
    [el("a", { href: "#data" }, "Nov 30, 8:12 AM"), "2015 Toyota Corolla", "It squeals when I brake.", pill("completed"), "$9.99"],
    [el("a", { href: "#data" }, "Nov 29, 5:40 PM"), "2012 Ford Focus", "It stalls at lights.", pill("cancelled"), "Nothing"],
  ];
  const hours = Array.from({ length: 24 }, (_, hour) => ({ label: `${hour}:00`, values: { completed: (hour * 7) % 9, cancelled: hour % 3, expired: hour % 5 === 0 ? 1 : 0 } }));
  return part(
    "data",
    "Data",
    table(["When", "Car", "Problem", "Outcome", "Price"], rows, { numbers: [4] }),
    empty("No sessions yet", "When you have talked to a mechanic, you find it here.", el("a.button.primary", { href: "#data" }, "Get help")),
    el("dl.card.facts", {}, el("dt", {}, "Price"), el("dd", {}, "$9.99"), el("dt", {}, "Ended by"), el("dd", {}, "you")),
    stackedBars("Ended by the hour", hours, { completed: "Completed", cancelled: "Cancelled", expired: "Expired" }),
    lines("Sessions by state", [{ label: "Talking now", count: 3, href: "#data" }, { label: "Booked", count: 1 }]),
    skeleton(),
  );
}

document.getElementById("main").replaceChildren(el("h1", {}, "Components"), buttons(), forms(), states(), people(), data());
