/** Requesting help: choose a plan, describe the problem, sign, pay. */

import { get, post } from "../lib/api.js";
import { announce, count, el, money } from "../lib/dom.js";
import { box, field, missing, showErrors, values } from "../lib/form.js";
import { intakeIsSession, intakeToPay } from "./payment.js";
import { forgetPictures, pictureField, sentPictures } from "./pictures.js";
import { busy } from "../lib/shell.js";
import { WAIVER } from "./waiver.js";

const TYPES = { chat: "chat", video: "video call", diagnostic: "video diagnostic" };
const KEPT = "autodoctor.intake"; // the typed values, in case the reader comes back from the payment page
const CONTACT = "autodoctor.contact"; // name and ways to reach them, for the next request of this tab

/**
 * The form, as a customer without an active session sees it.
 * @param {Object} page refreshed once the form is sent
 * @param {string|null} asked the id of the mechanic whom they already chose
 * @param {boolean} later whether they come to choose a time
 */
export async function intakeForm(page, asked, later) {
  const [{ plans }, { balance }, { sessions }] = await Promise.all([get("/api/plans"), get("/api/customer/credits"), get("/api/customer/sessions?limit=100")]);
  const known = new Map(sessions.filter((each) => each.mechanicId).map((each) => [each.mechanicId, each.counterpartName]));
  const form = el("form", { id: "intake", novalidate: true });
  const ways = el("fieldset.card", {});
  const submit = el("button.primary", { type: "submit" }, "Continue");
  let key = crypto.randomUUID();

  const chosen = () => plans.find((plan) => plan.code === form.elements.plan.value) ?? plans[0];
  const offer = () => {
    const plan = chosen();
    ways.replaceChildren(el("legend", {}, el("strong", {}, "How do you want to talk and pay?")), ...waysOf(plan, balance));
    submit.textContent = plan.priceCents === 0 ? "Ask now" : "Continue";
  };

  form.append(
    el("h1", {}, "What is wrong with your car?"),
    field("concern", "Describe what it does, and when", { tag: "textarea", required: true, maxlength: 4000 }),
    pictureField(),
    el(
      "div.grid",
      {},
      field("vehicle/year", "Year", { type: "number", inputmode: "numeric", min: 1886, max: new Date().getFullYear() + 1, required: true }),
      field("vehicle/make", "Make", { required: true, placeholder: "Toyota" }),
      field("vehicle/model", "Model", { required: true, placeholder: "Corolla" }),
      field("vehicle/vin", "VIN (if at hand)", { maxlength: 17, autocomplete: "off", hint: "17 letters and digits, never I, O or Q" }),
    ),
    box("urgent", "It is urgent: I cannot drive any further"),
    el("fieldset.grid.plans", {}, el("legend", {}, el("strong", {}, "Plan")), plans.map((plan, index) => planCard(plan, index === 0))),
    ways,
    known.size > 0 ? mechanicChoice(known) : "",
    el(
      "div.grid",
      {},
      field("name", "Your name", { required: true, autocomplete: "name" }),
      field("email", "E-mail", { type: "email", required: true, autocomplete: "email" }),
      field("phone", "Phone (optional)", { type: "tel", autocomplete: "tel" }),
      field("referralCode", "Referral code (optional)", { autocomplete: "off" }),
    ),
    field("scheduledFor", "Time, if not now (optional)", { type: "datetime-local" }),
    el("section.card", {}, el("h2", {}, "Waiver"), el("p", {}, WAIVER), box("agreed", "I have read and agree to this", { required: true })),
    el("p", {}, submit),
  );
  form.addEventListener("change", (event) => event.target.name === "plan" && offer());
  form.addEventListener("input", () => {
    key = crypto.randomUUID(); // a changed request is another one
    sessionStorage.setItem(KEPT, JSON.stringify(values(form)));
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(submit, () => send(form, chosen(), key, page));
  });
  offer();
  restore(form, offer);
  if (known.has(asked)) form.elements.preferredMechanicId.value = asked;
  if (later) setTimeout(() => document.getElementById("field-scheduledFor")?.focus()); // once it is in the page
  return form;
}

/**
 * Fills the form in, when it is shown next, with what was asked for in a session.
 * @param {Object} session as GET /api/sessions/{sessionId} answers it
 */
export function fillIn({ concern, vehicle, urgent, plan, sessionType, funding, participants }) {
  const { name } = participants.find(({ role }) => role === "customer") ?? {};
  const car = Object.fromEntries(Object.entries(vehicle).filter(([, value]) => value !== null).map(([key, value]) => [`vehicle/${key}`, value]));
  const contact = JSON.parse(sessionStorage.getItem(CONTACT) ?? "{}");
  sessionStorage.setItem(KEPT, JSON.stringify({ name, ...contact, ...car, concern, urgent, plan, sessionType, payWith: funding }));
}

/** Offers the mechanics whom the customer has talked to: the API lists no others. */
function mechanicChoice(known) {
  const hint = "The mechanic you choose has two minutes to answer. If they are away or do not answer, the next available mechanic gets your request.";
  const options = [...known].map(([id, name]) => el("option", { value: id }, name));
  return field("preferredMechanicId", "Mechanic", { tag: "select", hint }, el("option", { value: "" }, "The first available mechanic"), options);
}

function planCard(plan, checked) {
  const price = plan.priceCents === 0 ? "Free" : money(plan.priceCents, plan.currency);
  return el(
    "label.card.plan",
    {},
    el("input", { type: "radio", name: "plan", value: plan.code, checked }),
    el("strong", {}, ` ${plan.name}`),
    el("span.big", {}, price),
    el("span.quiet", {}, `${plan.includedMinutes} minutes by ${plan.sessionTypes.map((type) => TYPES[type] ?? type).join(" or ")}`),
  );
}

function waysOf(plan, balance) {
  const types = plan.sessionTypes.map((type) => el("option", { value: type }, TYPES[type] ?? type));
  const free = plan.priceCents === 0;
  const ways = free
    ? [["free", "Free"]]
    : [["card", `Card, ${money(plan.priceCents, plan.currency)}`], ...(plan.credits > 0 ? [["credit", `${count(plan.credits, "credit")} (you have ${balance})`]] : [])];
  const options = ways.map(([value, label]) => el("option", { value, disabled: value === "credit" && balance < plan.credits }, label));
  return [
    field("sessionType", "By", { tag: "select" }, ...types),
    field("payWith", "Paid with", { tag: "select" }, ...options),
  ];
}

async function send(form, plan, key, page) {
  if (showErrors(form, missing(form, { agreed: "Please agree to this first" }))) {
    announce("Please look at the marked fields.", "error");
    return;
  }
  const { agreed, ...rest } = values(form);
  const attachmentIds = await sentPictures().catch(() => null);
  if (!attachmentIds) return; // the field has said so
  const vehicle = Object.fromEntries(
    Object.entries(rest).filter(([name]) => name.startsWith("vehicle/")).map(([name, value]) => [name.slice(8), name === "vehicle/year" ? Number(value) : value]),
  );
  const body = {
    ...Object.fromEntries(Object.entries(rest).filter(([name]) => !name.startsWith("vehicle/"))),
    plan: plan.code,
    vehicle,
    attachmentIds,
    ...(rest.scheduledFor ? { scheduledFor: new Date(rest.scheduledFor).toISOString() } : {}),
    ...(rest.name ? { waiver: { signedName: rest.name } } : {}),
  };
  sessionStorage.setItem(CONTACT, JSON.stringify({ name: rest.name, email: rest.email, phone: rest.phone }));
  try {
    const answer = await post("/api/intake/start", body, { "Idempotency-Key": key });
    forgetPictures();
    if (answer.next === "pay") {
      intakeToPay(answer.intakeId);
      location.assign(answer.checkoutUrl);
      return;
    }
  } catch (problem) {
    if (problem.slug === "payment-processing") {
      intakeToPay(problem.document.intakeId);
      await shown(page);
      return;
    }
    if (problem.slug !== "active-session-exists") {
      if (!showErrors(form, problem)) throw problem;
      announce("Please look at the marked fields.", "error");
      return;
    }
    announce("You already have a session.");
  }
  sessionStorage.removeItem(KEPT);
  intakeIsSession();
  await shown(page);
}

/** Shows the result, from the top of the page. */
async function shown(page) {
  history.replaceState(null, "", "/console/customer.html");
  document.querySelector("active-session-banner").refresh();
  await page.refresh();
  scrollTo(0, 0);
}

function restore(form, offer) {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "{}");
  for (const pass of [["plan"], Object.keys(kept)]) {
    for (const name of pass) {
      const control = form.elements[name];
      if (!control || kept[name] === undefined || name === "agreed" || control.tagName === "SELECT") continue;
      if (control.type === "checkbox") control.checked = kept[name];
      else control.value = kept[name];
    }
    offer();
  }
  for (const name of ["sessionType", "payWith", "preferredMechanicId"]) {
    const control = form.elements[name];
    if (control && kept[name] && [...control.options].some((option) => option.value === kept[name] && !option.disabled)) control.value = kept[name];
  }
}
