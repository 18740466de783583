/**
 * The messages as a list that scrolls. Only a part of them is in the page, around what the reader sees: a room of ten
 * thousand scrolls like one of ten. It is not read aloud by itself, or a list that is filled again would be read again.
 */

import { el, keepFocus } from "../lib/dom.js";
import { noteWords } from "../session/words.js";

const MOST = 240; // messages in the page
const STEP = 60;
const NEAR = 600; // px from an end, where more is put there
const PINNED = 48; // px from the newest, within which the list follows it
const TOGETHER_MS = 5 * 60_000; // messages of one person within it have one heading

export class Log {
  #room;
  #outbox;
  #words;
  #older;
  #list = el("ol.messages", {});
  #unsent = el("ol.messages.unsent", {});
  #newest = el("button.newest", { type: "button", hidden: true, onclick: () => this.toNewest() });
  #from = 1; // the messages in the page, by `seq`; none while from > to
  #to = 0;
  #pinned = true;
  #unseen = 0;
  #loading = false;

  /**
   * @param {Object} parts
   * @param {Room} parts.room
   * @param {Outbox} parts.outbox
   * @param {{mine: string, nameOf: function(string): string, file: function(Object, string): Node}} parts.words
   * @param {function(): Promise<void>} parts.older has the room take the page before its first message
   */
  constructor({ room, outbox, words, older }) {
    this.#room = room;
    this.#outbox = outbox;
    this.#words = words;
    this.#older = older;
    this.scroller = el("div.log", { role: "region", "aria-label": "Messages", tabindex: 0 }, this.#list, this.#unsent);
    this.element = el("div.talk", {}, this.scroller, this.#newest);
    this.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#pinned && this.#toEnd()).observe(this.scroller);
    room.addEventListener("change", ({ detail }) => this.#changed(detail));
    room.addEventListener("read", () => this.#mark());
    outbox.addEventListener("change", () => this.#showUnsent());
    this.#showUnsent();
  }

  /** Whether the reader sees the newest message. */
  get atNewest() {
    return this.#pinned;
  }

  /** Shows the newest message. */
  toNewest() {
    if (this.#to !== this.#room.last || this.#from > this.#to) this.#show(Math.max(this.#room.first, this.#room.last - STEP + 1), this.#room.last);
    this.#pinned = true;
    this.#toEnd();
    this.#tell();
  }

  #changed({ appended, prepended, changed }) {
    for (const seq of changed) this.#item(seq)?.replaceWith(this.#message(seq));
    if (appended.length) this.#append(appended);
    if (prepended) this.#scrolled();
    this.#mark();
  }

  #append(appended) {
    const followed = this.#to === appended[0].seq - 1 || this.#from > this.#to;
    if (this.#pinned || this.#from > this.#to) this.toNewestFrom(followed);
    else {
      this.#unseen += appended.filter(({ role }) => role !== this.#words.mine).length;
      if (followed && this.#to - this.#from < MOST) this.#show(this.#from, this.#room.last);
    }
    this.#showUnsent();
    this.#tell();
  }

  /** Adds what is new below what is shown, or begins anew where that would be too much. */
  toNewestFrom(followed) {
    const last = this.#room.last;
    if (followed && this.#from <= this.#to && last - this.#to < STEP) this.#show(Math.max(this.#from, last - MOST + 1), last);
    else this.#show(Math.max(this.#room.first, last - STEP + 1), last);
    this.#toEnd();
  }

  /** Has these messages in the page, and nothing moves that the reader sees. */
  #show(from, to) {
    const anchor = [...this.#list.children].find((each) => each.getBoundingClientRect().bottom > this.scroller.getBoundingClientRect().top);
    const seen = anchor && { seq: Number(anchor.dataset.seq), top: anchor.getBoundingClientRect().top };
    for (const each of [...this.#list.children]) if (each.dataset.seq < from || each.dataset.seq > to) each.remove();
    const [first, last] = [Number(this.#list.firstChild?.dataset.seq ?? to + 1), Number(this.#list.lastChild?.dataset.seq ?? to)];
    if (first > from && first <= to) this.#list.firstChild.replaceWith(this.#message(first)); // it is no longer the first of its day
    this.#list.prepend(...this.#range(from, first - 1));
    this.#list.append(...this.#range(last + 1, to));
    [this.#from, this.#to] = [from, to];
    const now = seen && this.#item(seen.seq);
    if (now) this.scroller.scrollTop += now.getBoundingClientRect().top - seen.top;
    this.#mark();
  }

  #range(from, to) {
    return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => this.#message(from + index));
  }

  #item(seq) {
    return this.#list.querySelector(`[data-seq="${seq}"]`);
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const below = scrollHeight - clientHeight - scrollTop;
    const room = this.#room;
    this.#pinned = below < PINNED && this.#to >= room.last;
    if (this.#pinned) this.#unseen = 0;
    this.#tell();
    if (scrollTop < NEAR) this.#earlier();
    else if (below < NEAR && this.#to < room.last) this.#show(Math.max(this.#from, Math.min(room.last, this.#to + STEP) - MOST + 1), Math.min(room.last, this.#to + STEP));
  }

  async #earlier() {
    const room = this.#room;
    if (this.#from > room.first) {
      const from = Math.max(room.first, this.#from - STEP);
      this.#show(from, Math.min(this.#to, from + MOST - 1));
      return;
    }
    if (this.#loading || !room.hasOlder) return;
    this.#loading = true;
    this.scroller.ariaBusy = "true";
    try {
      await this.#older(); // the room's change comes back here
    } finally {
      this.#loading = false;
      this.scroller.ariaBusy = null;
    }
    if (this.scroller.scrollTop < NEAR && this.#from > room.first) this.#earlier();
  }

  #toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  #tell() {
    keepFocus(() => (this.#newest.hidden = this.#pinned || this.#from > this.#to), this.scroller);
    this.#newest.textContent = this.#unseen ? `${this.#unseen} new ↓` : "Newest ↓";
    this.#newest.ariaLabel = this.#unseen ? `${this.#unseen} new messages: show the newest` : "Show the newest message";
  }

  #message(seq) {
    const message = this.#room.at(seq);
    const before = this.#room.at(seq - 1);
    const at = new Date(message.at);
    const day = (!before || new Date(before.at).toDateString() !== at.toDateString()) && el("p.day", {}, dayOf(at));
    const { mine, nameOf, file } = this.#words;
    if (message.role === "system") {
      const words = noteWords(message, mine);
      return el("li.system", { "data-seq": seq }, day, words && el("p", {}, message.note === "operator" && el("strong", {}, "Our team: "), words, " ", stamp(at)));
    }
    const headed = day || before.role !== message.role || at - new Date(before.at) > TOGETHER_MS;
    const name = message.role === mine ? "You" : nameOf(message.role);
    return el(
      `li.${message.role === mine ? "mine" : "theirs"}`,
      { "data-seq": seq },
      day,
      headed ? el("p.who", {}, name, " ", stamp(at)) : el("span.unseen", {}, `${name}:`),
      message.attachment && file(message.attachment, name),
      message.text && el("p.words", {}, message.text),
    );
  }

  #showUnsent() {
    const known = new Map([...this.#unsent.children].map((each) => [each.dataset.client, each]));
    const shown = this.#outbox.items.map((item) => {
      const before = known.get(item.clientId);
      if (before?.dataset.state !== item.state) return this.#waiting(item);
      before.querySelector(".mark").textContent = stateOf(item);
      return before;
    });
    if (shown.length !== known.size || shown.some((each) => !each.isConnected)) this.#unsent.replaceChildren(...shown);
    if (this.#pinned) this.#toEnd();
  }

  #waiting(item) {
    const refused = item.state === "refused";
    return el(
      `li.mine.waiting${refused ? ".refused" : ""}`,
      { "data-client": item.clientId, "data-state": item.state },
      el("span.unseen", {}, "You, not sent yet:"),
      item.file && this.#words.file({ ...item.file, local: item.file }, "You"),
      item.text && el("p.words", {}, item.text),
      el("p.mark", {}, stateOf(item)),
      refused && el("p.row", {}, el("button", { type: "button", onclick: () => this.#outbox.again(item.clientId) }, "Try again"), el("button", { type: "button", onclick: () => this.#outbox.drop(item.clientId) }, "Remove")),
    );
  }

  /** Says of the last message of the reader's whether it is read. */
  #mark() {
    for (const each of this.#list.querySelectorAll(".mark")) each.remove();
    const { mine } = this.#words;
    const other = mine === "customer" ? "mechanic" : "customer";
    const own = [...this.#list.children].findLast((each) => each.matches(".mine"));
    if (own) own.append(el("p.mark", {}, this.#room.read[other] >= Number(own.dataset.seq) ? "Read" : "Sent"));
  }
}

function stateOf({ state, why, file, progress }) {
  if (state === "refused") return `Not sent: ${why}`;
  if (state === "kept") return "Not sent yet. It goes out as soon as the connection is back.";
  return file && progress > 0 && progress < 1 ? `Sending … ${Math.round(progress * 100)} %` : "Sending …";
}

function stamp(at) {
  return el("time.quiet", { datetime: at.toISOString() }, at.toLocaleTimeString(undefined, { timeStyle: "short" }));
}

function dayOf(at) {
  const today = new Date();
  if (at.toDateString() === today.toDateString()) return "Today";
  return at.toLocaleDateString(undefined, { weekday: "long", day: "numeric", month: "long", year: at.getFullYear() === today.getFullYear() ? undefined : "numeric" });
}
