/**
 * The feed: a WebSocket that says when to fetch again. It reconnects by itself and asks for the messages it missed;
 * a push is only a hint, so listeners fetch their data again (README, "What happens when something happens").
 */

import { post } from "./api.js";

const KEEP_ALIVE_SECONDS = 300;
const MOST_SECONDS_BETWEEN_TRIES = 30;

export class Feed extends EventTarget {
  #since = null;
  #feed = null;
  #tries = 0;
  #socket = null;
  #keepAlive = null;
  #closed = false;
  #superseded = false;

  /**
   * Opens it; events: `message` (detail: {type, seq, payload}), `resync`, `state` (detail: open or lost), and
   * `connected` whenever `connectionId` has changed. One that newer pages have pushed out opens again when its page is
   * looked at.
   */
  async open() {
    try {
      const { ticket, url } = await post("/api/realtime/ticket");
      if (this.#closed) return;
      const query = new URLSearchParams({ ticket });
      if (this.#since !== null) query.set("since", this.#since);
      if (this.#feed !== null) query.set("feed", this.#feed);
      this.#socket = new WebSocket(`${url}?${query}`);
    } catch {
      this.#again();
      return;
    }
    this.#socket.addEventListener("open", () => this.#opened());
    this.#socket.addEventListener("message", ({ data }) => this.#received(JSON.parse(data)));
    this.#socket.addEventListener("close", () => this.#again());
  }

  close() {
    this.#closed = true;
    clearInterval(this.#keepAlive);
    this.#socket?.close();
  }

  #opened() {
    this.#tries = 0;
    const identify = () => this.#socket.send(JSON.stringify({ action: "identify" }));
    identify();
    clearInterval(this.#keepAlive);
    this.#keepAlive = setInterval(identify, KEEP_ALIVE_SECONDS * 1000);
    this.dispatchEvent(new CustomEvent("state", { detail: "open" }));
  }

  #received(message) {
    const feed = message.payload?.feed ?? this.#feed;
    if (feed !== this.#feed) this.#since = null; // numbers of another history
    this.#feed = feed;
    if (message.seq !== undefined) this.#since = Math.max(this.#since ?? 0, message.seq);
    if (message.type === "superseded") {
      this.#superseded = true;
      return;
    }
    if (message.type === "connected") {
      const before = this.connectionId;
      this.connectionId = message.payload?.connectionId ?? message.connectionId;
      this.#since ??= message.payload?.seq ?? null;
      if (this.connectionId !== before) this.dispatchEvent(new CustomEvent("connected"));
      return;
    }
    this.dispatchEvent(new CustomEvent(message.type === "resync" ? "resync" : "message", { detail: message }));
  }

  #again() {
    clearInterval(this.#keepAlive);
    if (this.#closed) return;
    this.dispatchEvent(new CustomEvent("state", { detail: "lost" }));
    if (this.#superseded) {
      this.#superseded = false;
      addEventListener("focus", () => this.#closed || this.open(), { once: true });
      return;
    }
    const seconds = Math.min(MOST_SECONDS_BETWEEN_TRIES, 2 ** this.#tries) * (0.5 + Math.random() / 2);
    this.#tries += 1;
    setTimeout(() => this.#closed || this.open(), seconds * 1000);
  }
}
