/**
 * Keeps what a page knows of a room up to date: history and gaps over HTTP, news by the feed, which also binds this
 * page's connection to the room, so that its reader counts as being there.
 */

import { get, post } from "../api/api.js";
import { passing } from "./outbox.js";

const PAGE = 100; // messages a call
const TYPING_SECONDS = 3; // between two signs of typing
const AGAIN_MS = 2000; // after a refusal
const READ_SECONDS = 1; // between two marks
export const PUSHED = ["room", "message", "read", "typing", "present", "refused"];

export class Link extends EventTarget {
  #path;
  #sessionId;
  #room;
  #feed;
  #mine;
  #loaded = null; // the promise of the newest page
  #filling = false;
  #asked = false; // to be bound, by the present connection
  #typedAt = 0;
  #marked = 0; // the highest `seq` that this page has marked as read
  #looked = 0;
  #marking = null;

  /** Events: `loaded` (the newest page has been read), `outside` (a new connection, not bound yet), `typing` (the other is). */
  constructor({ sessionId, room, feed, mine }) {
    super();
    this.#sessionId = sessionId;
    this.#path = `/api/sessions/${sessionId}/messages`;
    this.#room = room;
    this.#feed = feed;
    this.#mine = mine;
    room.addEventListener("lacking", () => this.#fill());
    feed.addEventListener("state", ({ detail }) => {
      if (detail !== "open") return;
      this.#asked = false;
      this.dispatchEvent(new Event("outside"));
    });
    feed.addEventListener("message", ({ detail }) => PUSHED.includes(detail.type) && this.#pushed(detail));
    feed.addEventListener("resync", () => this.#fill(true));
  }

  /**
   * Reads the newest page, once; then the connection is bound to the room, which is its reader's presence, and the feed
   * says what is new.
   */
  async enter(mayEnter) {
    this.#loaded ??= get(`${this.#path}?limit=${PAGE}`).then((page) => {
      this.#room.absorb(page);
      this.dispatchEvent(new Event("loaded"));
    });
    try {
      await this.#loaded;
    } catch {
      this.#loaded = null; // the next connection, or the next look at the session, tries again
      return;
    }
    if (this.#asked || !mayEnter || !this.#feed.isOpen) return;
    this.#asked = this.#feed.send({ action: "room", sessionId: this.#sessionId, after: this.#room.last });
  }

  /** Says again that the reader is in the room, and asks for what is missing; null until the connection is bound. */
  sign() {
    return this.#asked ? { action: "room", sessionId: this.#sessionId, after: this.#room.last } : null;
  }

  /** Reads the page before the first message at hand. */
  async older() {
    this.#room.absorb(await get(`${this.#path}?before=${this.#room.first}&limit=${PAGE}`));
  }

  /** Sends a message; the API knows it by its `clientId`. */
  say({ clientId, text, attachmentId }) {
    return post(this.#path, { clientId, text, attachmentId });
  }

  /** The reader types. */
  typing() {
    if (Date.now() - this.#typedAt < TYPING_SECONDS * 1000) return;
    this.#typedAt = Date.now();
    this.#feed.send({ action: "typing", sessionId: this.#sessionId });
  }

  /** The reader has seen everything up to the newest message at hand. */
  seen() {
    this.#looked = this.#room.last; // what comes before the mark is sent may come while nobody looks
    if (this.#marking || !this.#hasNew()) return;
    this.#marking = setTimeout(async () => {
      this.#marking = null;
      const seq = this.#looked;
      try {
        await post(`${this.#path}/read`, { seq });
        this.#marked = seq;
      } catch {
        // the next message, or the next look at the page, marks it
      }
    }, READ_SECONDS * 1000);
  }

  /** Whether the other has said something that is not marked as read; what the system says needs no mark. */
  #hasNew() {
    const { first, last, read } = this.#room;
    for (let seq = last; seq > Math.max(this.#marked, read[this.#mine], first - 1); seq -= 1) if (![this.#mine, "system"].includes(this.#room.at(seq).role)) return true;
    return false;
  }

  #pushed({ type, payload, ...flat }) {
    const news = payload ?? flat;
    if (news.sessionId !== this.#sessionId) return;
    if (type === "room") this.#room.absorb({ ...news, latest: news.complete === false ? 0 : news.latest }); // more frames follow
    else if (type === "refused") this.#refused(news);
    else if (type === "message") this.#room.push(news.message ?? news);
    else if (type === "read") this.#room.reads(news.read ?? { [news.role]: news.seq });
    else if (type === "present") this.#room.presence(news.present ?? news);
    else if (news.role !== this.#mine) this.dispatchEvent(new Event("typing"));
  }

  /** The API would not bind the connection: if that may pass, it is asked again; else the next look at the session asks. */
  #refused({ action, problem }) {
    if (action !== "room") return;
    this.#asked = false;
    if (passing(problem)) setTimeout(() => this.dispatchEvent(new Event("outside")), AGAIN_MS);
  }

  /** Fetches what is missing, page by page. */
  async #fill(anyway = false) {
    if (this.#filling) return;
    this.#filling = true;
    try {
      for (let again = anyway || this.#room.lacks; again; again = this.#room.lacks) {
        const { last } = this.#room;
        this.#room.absorb(await get(`${this.#path}?after=${last}&limit=${PAGE}`));
        if (this.#room.last === last) break; // it is not there yet; the next push asks again
      }
    } catch {
      // the next connection asks again
    } finally {
      this.#filling = false;
    }
  }
}
