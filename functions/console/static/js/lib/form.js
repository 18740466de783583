/** Forms: labelled fields, with the API's errors shown at each. */

import { el } from "./dom.js";

/**
 * A labelled field.
 * @param {string} name of the control, and the field's JSON pointer in the API, such as "vehicle/year"
 * @param {string} label
 * @param {Object} [attributes] of the control; `tag` is its element, `hint` a line below it
 * @param {...Node} children of the control
 */
export function field(name, label, attributes = {}, ...children) {
  const { tag = "input", hint, ...rest } = attributes;
  const id = `field-${name.replaceAll("/", "-")}`;
  const described = [hint && `${id}-hint`, `${id}-error`].filter(Boolean).join(" ");
  return el(
    "div",
    {},
    el("label", { for: id }, label),
    el(tag, { id, name, "aria-describedby": described, ...rest }, ...children),
    hint && el("p.quiet", { id: `${id}-hint` }, hint),
    el("p.field-error", { id: `${id}-error`, hidden: true }),
  );
}

/** A checkbox. */
export function box(name, label, attributes = {}) {
  const id = `field-${name}`;
  const control = el("input", { type: "checkbox", id, name, "aria-describedby": `${id}-error`, ...attributes });
  return el("div", {}, el("p", {}, el("label.inline", {}, control, label)), el("p.field-error", { id: `${id}-error`, hidden: true }));
}

/** The values of the fields: text trimmed, empty ones left out, checkboxes as true or false. */
export function values(form) {
  const found = {};
  for (const control of form.elements) {
    if (!control.name || control.matches(":disabled") || (control.type === "radio" && !control.checked)) continue;
    const value = control.type === "checkbox" ? control.checked : control.value.trim();
    if (value !== "") found[control.name] = value;
  }
  return found;
}

/** Makes a sentence of the API's words about a field, such as "must be 1886 or more". */
function sentence(detail) {
  const whole = /^(this|there) |^[A-Z]/.test(detail) ? detail : `this ${detail}`;
  return `${whole[0].toUpperCase()}${whole.slice(1)}.`;
}

/**
 * A problem document that names, in one round, every required field left empty and every one that is not as it must be.
 * @param {HTMLFormElement} form
 * @param {Object<string, string>} [words] for empty fields, in place of the usual ones
 * @param {Object<string, function(string): string|false>} [checks] of what was typed: the words for what is wrong, or false
 */
export function missing(form, words = {}, checks = {}) {
  const errors = [];
  for (const control of form.elements) {
    const { name, value } = control;
    if (control.matches(":disabled")) continue;
    const isEmpty = control.type === "checkbox" ? !control.checked : !value?.trim();
    const detail = isEmpty ? control.required && (words[name] ?? "Please fill this in") : checks[name]?.(value.trim());
    if (name && detail) errors.push({ pointer: `/${name}`, detail });
  }
  return { document: { errors } };
}

/**
 * Shows a problem's `errors` at their fields until the field is changed, and focuses the first in the page's order. A form that was rebuilt
 * while its answer was awaited is found again by its fields.
 * @returns {boolean} false when this form has none of the fields
 */
export function showErrors(form, problem) {
  const shown = (control) => (control?.id && document.getElementById(control.id)) || control;
  for (const control of form.elements) clear(shown(control));
  let first = null;
  const order = [...form.elements].map(({ name }) => `/${name}`);
  const errors = (problem.document?.errors ?? []).toSorted((one, other) => order.indexOf(one.pointer) - order.indexOf(other.pointer));
  for (const { pointer, detail } of errors) {
    const control = shown(form.elements[pointer.slice(1)]);
    const line = errorOf(control);
    if (!line) continue;
    control.setAttribute("aria-invalid", "true");
    line.textContent = sentence(detail);
    line.hidden = false;
    first ??= control;
  }
  first?.focus();
  return first !== null;
}

/** The line for a control's error; null when it has none. */
function errorOf(control) {
  return control?.id ? document.getElementById(`${control.id}-error`) : null;
}

function clear(control) {
  const line = errorOf(control);
  if (!line) return;
  control.removeAttribute("aria-invalid");
  line.hidden = true;
  line.textContent = ""; // a control is described by it also while it is hidden
}

// Not at each control: a form that is rebuilt keeps its errors (dom.js) and would lose its listeners.
addEventListener("input", ({ target }) => clear(target));
addEventListener("reset", ({ target }) => [...target.elements].forEach(clear));
