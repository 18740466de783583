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
    if (!control.name || control.disabled || (control.type === "radio" && !control.checked)) continue;
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

/** A problem document that names every required field left empty, with the words given for it or the usual ones. */
export function missing(form, words = {}) {
  const empty = [...form.elements].filter((control) => control.required && (control.type === "checkbox" ? !control.checked : !control.value.trim()));
  return { document: { errors: empty.map(({ name }) => ({ pointer: `/${name}`, detail: words[name] ?? "Please fill this in" })) } };
}

/**
 * Shows a problem's `errors` at their fields until the field is changed, and focuses the first. A form that was rebuilt
 * while its answer was awaited is found again by its fields.
 * @returns {boolean} false when this form has none of the fields
 */
export function showErrors(form, problem) {
  const shown = (control) => (control?.id && document.getElementById(control.id)) || control;
  for (const control of form.elements) clear(shown(control));
  let first = null;
  for (const { pointer, detail } of problem.document?.errors ?? []) {
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
