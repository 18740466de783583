/** A long form in steps: each unfolds once the one before is filled in, and none folds again. */

import { el } from "../lib/dom.js";
import { steps as progress } from "../lib/components.js";

export class Unfolding {
  #form;
  #parts;
  #titles;
  #checks;
  #open = 1;
  #progress = el("div", {});

  /**
   * @param {HTMLFormElement} form
   * @param {Array<{title: string, content: Node[]}>} parts
   * @param {Object<string, function(string): string|false>} checks as for `missing` in form.js
   */
  constructor(form, parts, checks) {
    this.#form = form;
    this.#checks = checks;
    this.#titles = parts.map(({ title }) => title);
    this.#parts = parts.map(({ title, content }, index) => el("fieldset.step", { hidden: index > 0, disabled: index > 0 }, el("legend", {}, title), ...content));
    form.addEventListener("input", () => this.follow());
    this.#show();
  }

  /** What stands in the form. */
  get elements() {
    return [this.#progress, ...this.#parts];
  }

  /** Whether every step is open. */
  get isWhole() {
    return this.#open === this.#parts.length;
  }

  /** Opens what can be opened by now. */
  follow() {
    while (!this.isWhole && this.#isFilledIn(this.#parts[this.#open - 1])) this.#open += 1;
    this.#show();
  }

  /** Opens everything. */
  all() {
    this.#open = this.#parts.length;
    this.#show();
  }

  #isFilledIn(part) {
    return [...part.elements].every((control) => {
      if (control.type === "checkbox") return true; // an agreement is asked for at the end
      const value = control.value?.trim();
      return value ? !this.#checks[control.name]?.(value) : !control.required;
    });
  }

  #show() {
    this.#parts.forEach((part, index) => {
      const closed = index >= this.#open;
      if (part.hidden === closed) return;
      part.hidden = part.disabled = closed;
      if (!closed) part.classList.add("arrives");
    });
    const current = this.#parts.findIndex((part, index) => index < this.#open && !this.#isFilledIn(part));
    this.#progress.replaceChildren(progress(this.#titles, current < 0 ? this.#open - 1 : current));
  }
}
