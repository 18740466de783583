/**
 * What was written and is not with the API yet. It is sent in order, each message under a `clientId` of its own, which
 * is kept with it: whatever fails in between, and if the page is reloaded, the API knows it again and has it once.
 */

const FIRST_SECONDS = 1;
const MOST_SECONDS = 15;
const BUSY = ["session-busy", "service-unavailable"];

/**
 * @typedef {Object} Unsent
 * @property {string} clientId
 * @property {string} [text]
 * @property {string} [attachmentId] of the file, once it is with the API
 * @property {Object} [file] as `prepared` made it; it is lost with the page
 * @property {string} state `kept` (to be sent), `sending`, `refused`
 * @property {string} [why] it was refused, in words for its writer
 * @property {number} [progress] of its file, 0 to 1
 */

export class Outbox extends EventTarget {
  #items;
  #kept;
  #send;
  #sending = false;
  #tries = 0;
  #timer = null;

  /**
   * @param {{read: function(): Unsent[], write: function(Unsent[]): void}} kept where it outlives a reload
   * @param {function(Unsent): Promise<{seq: number, at: string}>} send one of them; a rejection's `status` and `slug`
   *   say whether it is tried again
   */
  constructor(kept, send) {
    super();
    this.#kept = kept;
    this.#send = send;
    // a file that was not with the API yet is gone with the page that had it
    this.#items = kept.read().filter((each) => each.text || each.attachmentId).map((each) => ({ ...each, state: each.state === "refused" ? "refused" : "kept" }));
  }

  /** Everything that is not sent yet, oldest first. */
  get items() {
    return [...this.#items];
  }

  /** Adds a message and sends what can be sent. */
  add({ text, file }) {
    const item = { clientId: crypto.randomUUID(), text: text || undefined, file, state: "kept" };
    this.#items.push(item);
    this.#changed();
    this.flush();
    return item;
  }

  /** Tries a refused one again. */
  again(clientId) {
    const item = this.#items.find((each) => each.clientId === clientId);
    if (item) Object.assign(item, { state: "kept", why: undefined });
    this.#changed();
    return this.flush();
  }

  /** Forgets one. */
  drop(clientId) {
    this.#items = this.#items.filter((each) => each.clientId !== clientId);
    this.#changed();
  }

  /** Sends what can be sent, now: called when something was added and when the network is back. */
  async flush() {
    clearTimeout(this.#timer);
    if (this.#sending) return;
    this.#sending = true;
    try {
      for (let item = this.#next(); item; item = this.#next()) if (!(await this.#one(item))) break;
    } finally {
      this.#sending = false;
    }
  }

  /** A message of this person's is with the API: it came by the feed, or stands in the history after a reload. */
  confirm(clientId) {
    if (clientId && this.#items.some((each) => each.clientId === clientId)) this.drop(clientId);
  }

  #next() {
    return this.#items.find(({ state }) => state === "kept");
  }

  /** Sends one; false where nothing can be sent now. */
  async #one(item) {
    item.state = "sending";
    this.#changed();
    try {
      const { seq, at } = await this.#send(item, () => this.#changed());
      this.#tries = 0;
      this.#items = this.#items.filter((each) => each !== item);
      this.#changed();
      this.dispatchEvent(new CustomEvent("sent", { detail: { item, seq, at } }));
      return true;
    } catch (problem) {
      if (passing(problem)) {
        item.state = "kept";
        this.#later();
      } else Object.assign(item, { state: "refused", why: problem.message });
      this.#changed();
      return item.state === "refused";
    }
  }

  #later() {
    const seconds = Math.min(MOST_SECONDS, FIRST_SECONDS * 2 ** this.#tries);
    this.#tries += 1;
    this.#timer = setTimeout(() => this.flush(), seconds * 1000);
  }

  #changed() {
    this.#kept.write(this.#items.map(({ clientId, text, attachmentId, state, why }) => ({ clientId, text, attachmentId, state, why })));
    this.dispatchEvent(new Event("change"));
  }
}

/** Whether the same request may succeed later, by its problem, or by the problem's document. */
export function passing({ status, slug, type }) {
  slug ??= type?.split("/").pop();
  return !status || status === 408 || status === 429 || status >= 500 || BUSY.includes(slug);
}
