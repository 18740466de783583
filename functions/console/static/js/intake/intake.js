/** Requesting help in steps: what is wrong, the car, when and how, who one is; then it is sent, and paid where it costs. */

import { get, post } from "../api/api.js";
import { signedIn } from "../api/auth.js";
import { announce, count, el, money } from "../lib/dom.js";
import { box, field, missing, showErrors, values } from "../lib/form.js";
import { intakeIsSession, intakeToPay } from "../parts/payment.js";
import { forgetPictures, pictureField, sentPictures } from "./pictures.js";
import { leaveFor, sessionUrl } from "../lib/places.js";
import { busy } from "../lib/shell.js";
import { means, packWords } from "../lib/prices.js";
import { typeWords } from "../lib/states.js";
import { Unfolding } from "./unfolding.js";
import { WAIVER } from "./waiver.js";

const WORDS = { agreed: "Please agree to this first", concern: "Please say what it does: a few words are enough" };
const FARTHEST_DAYS = 30;
const CHECKS = {
  "vehicle/year": (year) => !(Number(year) >= 1886 && Number(year) <= new Date().getFullYear() + 1) && `must be a year from 1886 to ${new Date().getFullYear() + 1}`,
  "vehicle/vin": (vin) => !/^[A-HJ-NPR-Z0-9]{17}$/i.test(vin) && "must have 17 letters and digits, none of them I, O or Q; you can also leave it out",
  email: (address) => !/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(address) && "must be an address such as cora@example.com",
  phone: (number) => (number.match(/\d/g)?.length ?? 0) < 5 && "must be a number such as +1 555 0100; you can also leave it out",
  scheduledFor: (at) => (new Date(at) <= Date.now() ? "must be later than now" : new Date(at) > Date.now() + FARTHEST_DAYS * 86_400_000 && `must be within ${FARTHEST_DAYS} days`),
};
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
  const name = () => {
    const { priceCents, currency } = chosen();
    const send = priceCents === 0 ? "Ask now" : `Continue to payment, ${money(priceCents, currency)}`;
    submit.textContent = steps.isWhole ? send : "Continue";
  };
  const offer = () => {
    const plan = chosen();
    ways.replaceChildren(el("legend", {}, el("strong", {}, "How do you want to talk and pay?")), ...waysOf(plan, balance));
    ways.hidden = !ways.querySelector("select");
    name();
  };

  const steps = new Unfolding(form, [
    { title: "What is wrong", content: problem() },
    { title: "Your car", content: car() },
    { title: "When and how", content: [planChoice(plans), ways, known.size > 0 ? mechanicChoice(known) : "", whenLater()] },
    { title: "Who you are", content: [...contact(), agreement()] },
  ], CHECKS);
  form.append(el("h1", {}, "What is wrong with your car?"), ...steps.elements, el("p.row", {}, submit));
  form.addEventListener("change", (event) => event.target.name === "plan" && offer());
  form.addEventListener("input", () => {
    key = crypto.randomUUID(); // a changed request is another one
    sessionStorage.setItem(KEPT, JSON.stringify(values(form)));
    name();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (steps.isWhole) busy(submit, () => send(form, chosen(), key, page));
    else if (!hasErrors(form)) steps.all();
  });
  offer();
  prefill(form);
  restore(form, offer);
  if (known.has(asked)) form.elements.preferredMechanicId.value = asked;
  const folded = form.querySelector("#later");
  folded.open = later || form.elements.scheduledFor.value !== "";
  if (later) steps.all();
  else steps.follow();
  name();
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

function problem() {
  return [field("concern", "Describe what it does, and when", { tag: "textarea", required: true, maxlength: 4000 }), pictureField(), box("urgent", "It is urgent: I cannot drive any further")];
}

function car() {
  return [
    el(
      "div.grid",
      {},
      field("vehicle/year", "Year", { type: "number", inputmode: "numeric", min: 1886, max: new Date().getFullYear() + 1, required: true }),
      field("vehicle/make", "Make", { required: true, placeholder: "Toyota" }),
      field("vehicle/model", "Model", { required: true, placeholder: "Corolla" }),
      field("vehicle/vin", "VIN (if at hand)", { maxlength: 17, autocomplete: "off", hint: "17 letters and digits, never I, O or Q" }),
    ),
  ];
}

function planChoice(plans) {
  return el("fieldset.grid.plans", {}, el("legend", {}, el("strong", {}, "Plan")), plans.map((plan, index) => planCard(plan, index === 0)));
}

function whenLater() {
  return el("details.card", { id: "later" }, el("summary", {}, "Later instead of now"), field("scheduledFor", "Time, if not now (optional)", { type: "datetime-local", hint: "Up to 30 days ahead. Until then you can cancel it." }));
}

function contact() {
  return [
    el(
      "div.grid",
      {},
      field("name", "Your name", { required: true, autocomplete: "name" }),
      field("email", "E-mail", { type: "email", required: true, autocomplete: "email", hint: "For the summary, and if you leave this page." }),
      field("phone", "Phone (optional)", { type: "tel", autocomplete: "tel" }),
      field("referralCode", "Referral code (optional)", { autocomplete: "off" }),
    ),
  ];
}

function agreement() {
  return el("section.card", {}, el("h2", {}, "Before you go on"), el("p", {}, WAIVER), box("agreed", "I have read and agree to this", { required: true }));
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
    el("strong", {}, plan.name),
    el("span.big", {}, price),
    el("span.quiet", {}, means(plan)),
    packWords(plan),
  );
}

function waysOf(plan, balance) {
  const types = plan.sessionTypes.map((type) => el("option", { value: type }, typeWords(type)));
  const free = plan.priceCents === 0;
  const ways = free
    ? [["free", "Free"]]
    : [["card", `Card, ${money(plan.priceCents, plan.currency)}`], ...(plan.credits > 0 ? [["credit", `${count(plan.credits, "credit")} (you have ${balance})`]] : [])];
  const options = ways.map(([value, label]) => el("option", { value, disabled: value === "credit" && balance < plan.credits }, label));
  return [choice("sessionType", "Talk by", types), choice("payWith", "Pay with", options)];
}

/** A choice, which is made already where there is only one. */
function choice(name, label, options) {
  return options.length > 1 ? field(name, label, { tag: "select" }, ...options) : el("input", { type: "hidden", name, value: options[0].value });
}

/** Whether something is wrong with what is typed, which is then said at each field. */
function hasErrors(form) {
  form.querySelector("#later").open ||= form.elements.scheduledFor.value !== "";
  if (!showErrors(form, missing(form, WORDS, CHECKS))) return false;
  announce("Please look at the marked fields.", "error");
  return true;
}

async function send(form, plan, key, page) {
  if (hasErrors(form)) return;
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
  let answer;
  try {
    answer = await post("/api/intake/start", body, { "Idempotency-Key": key });
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
  if (answer) await leaveFor(sessionUrl(answer.sessionId, body.sessionType), { replace: true });
  else await shown(page);
}

/** Shows the result, from the top of the page. */
async function shown(page) {
  history.replaceState(null, "", "/console/customer.html");
  await page.refresh();
  scrollTo(0, 0);
}

/** Who is signed in need not say their name again, nor what they said for an earlier request. */
function prefill(form) {
  const { name, email } = signedIn() ?? {};
  const known = { name, email, ...JSON.parse(sessionStorage.getItem(CONTACT) ?? "{}") };
  for (const each of ["name", "email", "phone"]) if (known[each]) form.elements[each].value = known[each];
}

function restore(form, offer) {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "{}");
  for (const pass of [["plan"], Object.keys(kept)]) {
    for (const name of pass) {
      const control = form.elements[name];
      if (!control || kept[name] === undefined || name === "agreed" || control.tagName === "SELECT" || control.type === "hidden") continue;
      if (control.type === "checkbox") control.checked = kept[name];
      else control.value = kept[name];
    }
    offer();
  }
  for (const name of ["sessionType", "payWith", "preferredMechanicId"]) {
    const control = form.elements[name];
    if (control && kept[name] && [...(control.options ?? [])].some((option) => option.value === kept[name] && !option.disabled)) control.value = kept[name];
  }
}
