/**
 * The feed: a WebSocket that says when to fetch again. It reconnects by itself, at once when the network is back, and
 * asks for the messages it missed; a push is only a hint, so listeners fetch their data again (README, "What happens
 * when something happens"). What a room says comes this way too, as it is.
 */

import { post } from "./api.js";

const KEEP_ALIVE_SECONDS = 330; // API Gateway closes what is silent for ten minutes, and answers `identify` once in five
const SILENT_SECONDS = 40; // without an answer, after which the connection counts as lost
const MOST_SECONDS_BETWEEN_TRIES = 30;

export class Feed extends EventTarget {
  #since = null;
  #feed = null;
  #tries = 0;
  #turn = 0; // counts the connections: what an earlier one still says is ignored
  #socket = null;
  #keepAlive = null;
  #sign;
  #signSeconds;
  #signedAt = 0;
  #silence = null;
  #timer = null;
  #closed = false;
  #superseded = false;
  #wasOpen = false;

  /** When it tries again, in ms since the epoch; null while it is open or opening. */
  retryAt = null;

  /**
   * @param {Object} [options]
   * @param {function(): Object|null} [options.sign] an action that is always answered and says that the reader is there; null: none yet
   * @param {number} [options.signSeconds] how often it is sent
   */
  constructor({ sign = () => null, signSeconds = KEEP_ALIVE_SECONDS } = {}) {
    super();
    this.#sign = sign;
    this.#signSeconds = signSeconds;
    addEventListener("online", () => this.#closed || this.isOpen || this.open());
    addEventListener("offline", () => this.#socket && this.#lost());
  }

  /**
   * Opens it; events: `message` (detail: {type, seq, payload}), `resync`, and `state` (detail: open or lost). One that
   * newer pages have pushed out opens again when its page is looked at.
   */
  async open() {
    clearTimeout(this.#timer);
    this.retryAt = null;
    const turn = ++this.#turn;
    const current = (work) => (event) => turn === this.#turn && work(event);
    try {
      const { ticket, url } = await post("/api/realtime/ticket");
      if (this.#closed || turn !== this.#turn) return;
      const query = new URLSearchParams({ ticket });
      if (this.#since !== null) query.set("since", this.#since);
      if (this.#feed !== null) query.set("feed", this.#feed);
      this.#socket = new WebSocket(`${url}?${query}`);
      this.#expectAnswer();
    } catch {
      if (turn === this.#turn) this.#lost();
      return;
    }
    this.#socket.addEventListener("open", current(() => this.#opened()));
    this.#socket.addEventListener("message", current(({ data }) => this.#received(JSON.parse(data))));
    this.#socket.addEventListener("close", current(() => this.#lost()));
  }

  /** Whether there is a connection that takes actions. */
  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Sends an action; false where there is no connection that could take it. */
  send(frame) {
    if (!this.isOpen) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  close() {
    this.#closed = true;
    this.#turn += 1;
    this.#stop();
  }

  #opened() {
    this.#tries = 0;
    this.#answered();
    this.#signedAt = Date.now();
    clearInterval(this.#keepAlive);
    this.#keepAlive = setInterval(() => this.#keep(), this.#signSeconds * 1000);
    this.dispatchEvent(new CustomEvent("state", { detail: "open" }));
    if (this.#wasOpen && this.#since === null) this.dispatchEvent(new CustomEvent("resync")); // no number to ask from
    this.#wasOpen = true;
  }

  #keep() {
    const sign = this.#sign();
    if (!sign && Date.now() - this.#signedAt < (KEEP_ALIVE_SECONDS - 1) * 1000) return;
    this.send(sign ?? { action: "identify" });
    this.#signedAt = Date.now();
    this.#expectAnswer();
  }

  #expectAnswer() {
    this.#silence ??= setTimeout(() => this.#lost(), SILENT_SECONDS * 1000); // of the first that is not answered
  }

  #answered() {
    clearTimeout(this.#silence);
    this.#silence = null;
  }

  #received(message) {
    this.#answered();
    const feed = message.payload?.feed ?? this.#feed;
    if (feed !== this.#feed) this.#since = null; // numbers of another history
    this.#feed = feed;
    if (message.seq !== undefined) this.#since = Math.max(this.#since ?? 0, message.seq);
    if (message.type === "superseded") {
      this.#superseded = true;
      return;
    }
    if (message.type === "connected") {
      this.#since ??= message.payload?.seq ?? null;
      return;
    }
    this.dispatchEvent(new CustomEvent(message.type === "resync" ? "resync" : "message", { detail: message }));
  }

  #stop() {
    clearInterval(this.#keepAlive);
    this.#answered();
    clearTimeout(this.#timer);
    this.#socket?.close();
    this.#socket = null;
  }

  /** The connection is gone, or counts as gone: another follows. */
  #lost() {
    this.#turn += 1;
    this.#stop();
    if (this.#closed) return;
    if (this.#superseded) {
      this.#superseded = false;
      this.dispatchEvent(new CustomEvent("state", { detail: "lost" }));
      addEventListener("focus", () => this.#closed || this.open(), { once: true });
      return;
    }
    const seconds = Math.min(MOST_SECONDS_BETWEEN_TRIES, 2 ** this.#tries) * (0.5 + Math.random() / 2);
    this.#tries += 1;
    this.retryAt = Date.now() + seconds * 1000;
    this.#timer = setTimeout(() => this.open(), seconds * 1000);
    this.dispatchEvent(new CustomEvent("state", { detail: "lost" }));
  }
}
