/** The plans tab of operators: what is for sale, and the packs of more minutes that a talk of each plan can be extended by. */

import { get, patch } from "../api/api.js";
import { table } from "../lib/components.js";
import { announce, count, el, money } from "../lib/dom.js";
import { field, missing, showErrors } from "../lib/form.js";
import { busy } from "../lib/shell.js";

const MOST_PACKS = 10;
const NEW = { code: "", minutes: "", priceCents: null, credits: 0 };
const FIELDS = {
  code: { label: "Name", hint: "Small letters and digits, such as m15.", autocomplete: "off" },
  minutes: { label: "Minutes", inputmode: "numeric", autocomplete: "off" },
  priceCents: { label: "Price in dollars", inputmode: "decimal", autocomplete: "off" },
  credits: { label: "Credits", inputmode: "numeric", autocomplete: "off", hint: "0: by card only." },
};
const WRONG = {
  code: (value) => !/^[a-z][a-z0-9_-]{0,39}$/.test(value) && "must begin with a small letter, and have small letters, digits, - and _ only",
  minutes: (value) => !within(value, 1, 1440) && "must be a whole number from 1 to 1440",
  priceCents: (value) => !within(cents(value), 50, 99999999) && "must be an amount of at least $0.50, such as 5.99",
  credits: (value) => !within(value, 0, 10000) && "must be a whole number from 0 to 10000",
};

const within = (value, least, most) => /^[0-9]+$/.test(value) && Number(value) >= least && Number(value) <= most;
const cents = (dollars) => (/^[0-9]+([.,][0-9]{1,2})?$/.test(dollars) ? String(Math.round(Number(dollars.replace(",", ".")) * 100)) : "");
const packWords = ({ minutes, priceCents, credits }) => `${count(minutes, "minute")} for ${money(priceCents)}${credits ? ` or ${count(credits, "credit")}` : ""}`;
const priceWords = ({ priceCents, credits }) => (priceCents ? `${money(priceCents)}${credits ? ` or ${count(credits, "credit")}` : ""}` : "Free");

/** Every plan. */
export async function plans() {
  const { plans: found } = await get("/api/admin/plans");
  const rows = found.map((each) => [
    el("a", { href: `#plan?code=${each.code}` }, each.name),
    priceWords(each),
    `${each.includedMinutes} of at most ${each.maxMinutes}`,
    `${each.mechanicShareBp / 100} %`,
    each.minutePacks.length ? each.minutePacks.map((pack) => el("div", {}, packWords(pack))) : "–",
  ]);
  return [el("h1", {}, "Plans"), table(["Plan", "Price", "Minutes", "Mechanic's share", "More minutes"], rows, { caption: "Plans" })];
}

/**
 * One plan, and its packs.
 * @param {URLSearchParams} query
 * @param {function(): Promise<void>} refresh
 */
export async function plan(query, refresh) {
  const { plans: found } = await get("/api/admin/plans");
  const shown = found.find(({ code }) => code === query.get("code"));
  if (!shown) return [el("h1", {}, "Plan"), el("p.card", {}, "There is no such plan."), el("p", {}, el("a", { href: "#plans" }, "All plans"))];
  const facts = { Price: priceWords(shown), Minutes: `${shown.includedMinutes} of at most ${shown.maxMinutes}`, "Mechanic's share": `${shown.mechanicShareBp / 100} %` };
  return [
    el("h1", {}, shown.name),
    el("dl.card.facts", {}, Object.entries(facts).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    packsForm(shown, refresh),
    el("p", {}, el("a", { href: "#plans" }, "All plans")),
  ];
}

function packsForm(shown, refresh) {
  const list = el("div", { id: "packs" });
  const save = el("button.primary", { type: "submit" }, "Save");
  const form = el(
    "form",
    { novalidate: true, id: `packs-of-${shown.code}` },
    el("h2", {}, "More minutes"),
    el("p.quiet", {}, "A talk of this plan can be extended by these. A change is for what is asked for from now on."),
    list,
    el("p.row", {}, el("button", { type: "button", id: "add-pack", onclick: () => draw([...typed(form), NEW], -1) }, "Add a pack"), save),
  );
  const draw = (packs, focused) => {
    list.replaceChildren(...packs.map((pack, index) => row(pack, index, () => draw(typed(form).toSpliced(index, 1), index))));
    if (!packs.length) list.append(el("p.quiet", {}, "There are none: a talk of this plan cannot be extended."));
    form.querySelector("#add-pack").disabled = packs.length >= MOST_PACKS;
    if (focused !== undefined) (list.querySelectorAll("fieldset").item(focused < 0 ? packs.length - 1 : focused)?.querySelector("input") ?? form.querySelector("#add-pack")).focus();
  };
  draw(shown.minutePacks);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const problem = wrong(form);
    if (problem.document.errors.length) return showErrors(form, problem);
    return busy(save, () => store(form, shown, refresh));
  });
  return form;
}

function row(pack, index, remove) {
  const price = pack.priceCents === null || typeof pack.priceCents === "string" ? (pack.priceCents ?? "") : (pack.priceCents / 100).toFixed(2);
  const parts = Object.entries({ ...pack, priceCents: price }).map(([name, value]) => {
    const { label, ...attributes } = FIELDS[name];
    return field(`minutePacks/${index}/${name}`, label, { ...attributes, value: String(value), required: true });
  });
  return el("fieldset.card", { "aria-label": `Pack ${index + 1}` }, el("div.grid", {}, parts), el("p", {}, el("button", { type: "button", "aria-label": `Remove pack ${index + 1}`, onclick: remove }, "Remove")));
}

/** The packs as they stand in the fields, as text. */
function typed(form) {
  return [...form.querySelectorAll("fieldset")].map((_, index) => Object.fromEntries(Object.keys(FIELDS).map((name) => [name, form.elements[`minutePacks/${index}/${name}`].value.trim()])));
}

function wrong(form) {
  const packs = typed(form);
  const checks = {};
  packs.forEach((pack, index) => {
    for (const name of Object.keys(FIELDS)) checks[`minutePacks/${index}/${name}`] = WRONG[name];
    const same = packs.findIndex(({ code }) => code === pack.code);
    if (same < index) checks[`minutePacks/${index}/code`] = (value) => WRONG.code(value) || "must be another name than that of the packs above";
  });
  return missing(form, {}, checks);
}

async function store(form, shown, refresh) {
  const minutePacks = typed(form).map(({ code, minutes, priceCents, credits }) => ({ code, minutes: Number(minutes), priceCents: Number(cents(priceCents)), credits: Number(credits) }));
  try {
    await patch(`/api/admin/plans/${shown.code}`, { minutePacks });
  } catch (problem) {
    if (!showErrors(form, problem)) throw problem;
    return;
  }
  announce("Saved.");
  await refresh();
}
