/** The mechanic's notes for the customer: saved while they are typed, completed for a day after the end, and sent once. */

import { call } from "../api/api.js";
import { announce, el, keepFocus } from "../lib/dom.js";
import { field } from "../lib/form.js";
import { action } from "../lib/shell.js";

const PAUSE_MS = 1000; // after the last letter
const AGAIN_MS = 5000; // after a failure

export class Notes {
  #path;
  #kept;
  #text;
  #state = el("p.quiet", { id: "notes-state", role: "status" });
  #send;
  #session = null;
  #version = 0; // of what is stored
  #stored = ""; // what is stored
  #timer = null;
  #saving = null; // the promise of the save that is under way

  /**
   * @param {string} sessionId
   * @param {{read: function(): string, write: function(string): void}} kept where what is not saved outlives a reload
   */
  constructor(sessionId, kept) {
    this.#path = `/api/sessions/${sessionId}/notes`;
    this.#kept = kept;
    const control = field("notes", "Notes for the customer", { tag: "textarea", maxlength: 4000, hint: "They are in the summary the customer gets.", oninput: () => this.#typed() }, kept.read());
    this.#text = control.querySelector("textarea");
    this.#send = action("Send them now", () => this.#confirm(), { kind: "primary", id: "send-notes" });
    this.element = el("section.card", { "aria-label": "Your notes", hidden: true }, control, this.#state, el("p.row", {}, this.#send));
    addEventListener("online", () => this.#dirty && this.save());
  }

  get #dirty() {
    return this.#text.value.trim() !== this.#stored;
  }

  /** Follows the session: notes that were saved on another device, and until when they may be completed. */
  show(session) {
    this.#session = session;
    const { notes } = session;
    this.element.hidden = !notes || (session.endedAt !== null && this.#closed);
    if (!notes) return;
    const untouched = !this.#dirty && !this.#saving;
    if (notes.version > this.#version) {
      const first = this.#version === 0 && !this.#kept.read();
      this.#version = notes.version;
      this.#stored = session.mechanicNotes ?? "";
      if (untouched || first) this.#text.value = this.#stored;
    }
    if (this.#dirty && this.#kept.read()) this.#later(PAUSE_MS); // typed before a reload
    this.#tell();
  }

  /** Saves what is typed, if it is not saved yet. */
  async save(confirmed = false) {
    clearTimeout(this.#timer);
    await this.#saving;
    const text = this.#text.value.trim();
    if (text === this.#stored && !confirmed) return;
    this.#saving = call("PUT", this.#path, { text, version: this.#version + 1, confirmed });
    this.#say("Saving …");
    try {
      const { version, confirmedAt, savedAt } = await this.#saving;
      this.#version = version;
      this.#stored = text;
      Object.assign(this.#session.notes, { version, confirmedAt, savedAt });
      if (this.#dirty) this.#later(PAUSE_MS);
      else this.#kept.write("");
      this.#tell();
    } catch (problem) {
      this.#failed(problem);
      if (confirmed) throw problem;
    } finally {
      this.#saving = null;
    }
  }

  get #closed() {
    const { notes } = this.#session;
    return Boolean(notes?.closesAt) && new Date(notes.closesAt) < Date.now();
  }

  #failed(problem) {
    if (problem.slug === "notes-changed") {
      this.#version = problem.document.version; // whoever types here now writes on
      this.#later(PAUSE_MS);
    } else if (problem.status === 409 || problem.status === 404) this.#say(problem.message);
    else {
      this.#say("Not saved yet; it is tried again.");
      this.#later(AGAIN_MS);
    }
  }

  async #confirm() {
    await this.save(true);
    announce("The customer has your notes.");
  }

  #typed() {
    this.#kept.write(this.#text.value);
    this.#say("");
    this.#later(PAUSE_MS);
  }

  #later(delay) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.save(), delay);
  }

  #tell() {
    const { notes, endedAt } = this.#session;
    const saved = notes.savedAt && !this.#dirty ? "Saved." : "";
    const sent = notes.confirmedAt ? "The customer has them." : endedAt ? "The customer gets them within 15 minutes, or as soon as you send them." : "";
    this.#say([saved, sent].filter(Boolean).join(" "));
    keepFocus(() => (this.#send.hidden = !endedAt || Boolean(notes.confirmedAt)), this.#text);
  }

  #say(words) {
    if (this.#state.textContent !== words) this.#state.textContent = words;
  }
}
