/** The talk on the session's page: messages, what is not sent yet, where one writes, and who is typing. */

import { el } from "../lib/dom.js";
import { post } from "../api/api.js";
import { fileView, keep } from "./attachments.js";
import { Composer } from "./composer.js";
import { uploaded } from "./files.js";
import { Link, PUSHED } from "./link.js";
import { Log } from "./log.js";
import { Outbox } from "./outbox.js";
import { Room } from "./store.js";
import { noteWords } from "../session/words.js";

const TYPING_MS = 5000;
const READ_OUT = 5; // messages at once; of more, only the number
const OPEN = ["searching", "asked", "connecting", "live"];

export class Talk extends EventTarget {
  room = new Room();
  #sessionId;
  #mine;
  #isParty;
  #outbox;
  #composer;
  #link;
  #log;
  #names = {};
  #typing = el("p.typing.quiet", { role: "status" });
  #typingTimer = null;
  #hint = el("p.quiet.hint", {});
  #stage = null;
  #started = false; // whether the messages that were there already have come

  /**
   * Events: `present` (who is in the room, or who has spoken, changed), `unread`.
   * @param {Object} parts
   * @param {string} parts.sessionId
   * @param {Feed} parts.feed
   * @param {"customer"|"mechanic"} parts.mine the reader's role
   * @param {boolean} parts.isParty whether the reader takes part
   * @param {function(string): Object} parts.kept where something of this session outlives a reload
   */
  constructor({ sessionId, feed, mine, isParty, kept }) {
    super();
    this.#sessionId = sessionId;
    this.#mine = mine;
    this.#isParty = isParty;
    const unsent = kept("unsent");
    this.#outbox = new Outbox({ read: () => JSON.parse(unsent.read() || "[]"), write: (items) => unsent.write(items.length ? JSON.stringify(items) : "") }, (item, changed) => this.#send(item, changed));
    this.#link = new Link({ sessionId, room: this.room, feed, mine });
    this.#log = new Log({ room: this.room, outbox: this.#outbox, words: { mine, nameOf: (role) => this.#names[role] ?? role, file: fileView }, older: () => this.#link.older() });
    this.#composer = new Composer(kept("draft"));
    this.element = el("section.talking", { "aria-label": "Talk" }, this.#hint, this.#log.element, this.#typing, this.#composer.element);
    this.#composer.droppable(this.element);
    this.#listen(feed);
  }

  #listen(feed) {
    this.#composer.addEventListener("send", ({ detail }) => this.say(detail.text, detail.files));
    this.#composer.addEventListener("typing", () => this.#link.typing());
    this.#outbox.addEventListener("sent", ({ detail }) => this.#sent(detail));
    this.#link.addEventListener("typing", () => this.#types());
    this.#link.addEventListener("outside", () => this.#enter());
    this.#link.addEventListener("loaded", () => (this.#started = true));
    this.room.addEventListener("change", ({ detail }) => this.#came(detail));
    this.room.addEventListener("present", () => this.dispatchEvent(new Event("present")));
    this.room.addEventListener("read", () => this.dispatchEvent(new Event("unread")));
    feed.addEventListener("state", ({ detail }) => detail === "open" && this.#outbox.flush());
    addEventListener("online", () => this.#outbox.flush());
    document.addEventListener("visibilitychange", () => this.#seen());
    this.#log.scroller.addEventListener("scroll", () => this.#seen(), { passive: true });
    addEventListener("beforeunload", (event) => this.#outbox.items.some(({ file, attachmentId }) => file && !attachmentId) && event.preventDefault());
  }

  /** How many messages of others the reader has not seen. */
  get unread() {
    let count = 0;
    for (let seq = this.room.last; seq > Math.max(this.room.read[this.#mine], this.room.first - 1); seq -= 1) if (![this.#mine, "system"].includes(this.room.at(seq).role)) count += 1;
    return count;
  }

  /** What tells the server that the reader is still in the room; null while they are not. */
  sign() {
    return this.#link.sign();
  }

  /** Whether a push is about the session itself, not about what is said in it. */
  isNews({ type }) {
    return !PUSHED.includes(type);
  }

  /** Writes a message, with one more for each picture after the first. */
  say(text, files = []) {
    const [first, ...others] = files;
    if (text || first) this.#outbox.add({ text, file: first });
    for (const file of others) this.#outbox.add({ file });
    this.#log.toNewest();
  }

  /** Puts pictures where the next message is written. */
  take(files) {
    this.#composer.take(files);
  }

  /**
   * Follows the session: whom the messages are of, and whether something can be written.
   * @returns {Promise<void>} resolved once what was said before is here, or could not be read
   */
  show(session, stage) {
    for (const { role, name } of session.participants) this.#names[role] = name;
    this.#stage = stage;
    const open = OPEN.includes(stage);
    this.element.hidden = !open && (stage !== "over" || this.room.last === 0);
    this.#composer.element.hidden = !open || !this.#isParty;
    this.#hint.textContent = { searching: "While you wait: write what else there is to know, and add pictures. The mechanic reads it first.", asked: "Add pictures and words now: the mechanic reads them first.", over: "What was said" }[stage] ?? "";
    this.#hint.hidden = !this.#hint.textContent;
    return this.#enter();
  }

  async #enter() {
    if (this.#stage && !["booked", "unsigned"].includes(this.#stage)) await this.#link.enter(this.#isParty);
  }

  async #send(item, changed) {
    if (item.file && !item.attachmentId) {
      const { name, contentType, bytes, sha256, blob } = item.file;
      const { attachmentId, upload } = await post(`/api/sessions/${this.#sessionId}/attachments`, { name, contentType, bytes, sha256 });
      await uploaded(upload, blob, (part) => {
        item.progress = part;
        changed();
      });
      keep(attachmentId, item.file);
      item.attachmentId = attachmentId;
      changed(); // from here on it outlives a reload
    }
    return this.#link.say(item);
  }

  #sent({ item, seq, at }) {
    const { clientId, attachmentId, file, text } = item;
    const attachment = attachmentId && { attachmentId, ...(file && { name: file.name, contentType: file.contentType, bytes: file.bytes }) };
    if (!this.room.at(seq)) this.room.push({ seq, role: this.#mine, kind: attachmentId ? "file" : "text", text: text ?? null, attachment: attachment ?? null, at, clientId });
  }

  #came({ appended }) {
    const spokenNow = appended.some(({ role }) => role !== "system");
    for (const { clientId } of appended) this.#outbox.confirm(clientId);
    const news = this.#started ? appended.filter(({ role }) => role !== this.#mine) : [];
    this.#readOut(news);
    if (news.some(({ role }) => role !== "system")) this.#types(false);
    if (spokenNow) this.dispatchEvent(new Event("present"));
    this.#seen();
    this.dispatchEvent(new Event("unread"));
  }

  /** Has a screen reader say what is new, each message once. */
  #readOut(news) {
    const said = document.getElementById("said");
    const words = ({ role, note, text, attachment }) => [role === "system" ? noteWords({ note, text }, this.#mine) : `${this.#names[role] ?? role}: ${[attachment && (attachment.contentType?.startsWith("image/") ? "a picture" : `the document ${attachment.name}`), text].filter(Boolean).join(", ")}`];
    const lines = news.length > READ_OUT ? [[`${news.length} new messages`]] : news.map(words).filter(([line]) => line);
    said.append(...lines.map(([line]) => el("p", {}, line)));
    while (said.children.length > 20) said.firstChild.remove();
  }

  #types(on = true) {
    clearTimeout(this.#typingTimer);
    const other = this.#mine === "customer" ? "mechanic" : "customer";
    this.#typing.textContent = on ? `${this.#names[other] ?? "The other"} is typing …` : "";
    if (on) this.#typingTimer = setTimeout(() => this.#types(false), TYPING_MS);
  }

  #seen() {
    if (this.#isParty && !document.hidden && !this.element.hidden && this.#log.atNewest) this.#link.seen();
  }
}
