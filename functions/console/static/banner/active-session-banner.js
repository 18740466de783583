/**
 * <active-session-banner>: the session a customer or mechanic is in, on any page of any site.
 *
 * One module without dependencies; of the page's policy, it needs only `script-src` for this file and `connect-src` for
 * the API and the feed. README.md in this folder explains its use.
 */

const REFRESH_SECONDS = 30;
const KEEP_ALIVE_SECONDS = 300;
const MOST_SECONDS_BETWEEN_TRIES = 60;
const CALL_SECONDS = 15;
const TYPES = { chat: "Chat", video: "Video call", diagnostic: "Diagnostic" };
const BACK = "Nothing is charged: a payment goes back to the card, credits to the balance.";
const STATES = { pending: "Finding a mechanic", waiting: "Mechanic accepted", live: "Talking now", scheduled: "Booked" };

const SHEET = new CSSStyleSheet();
SHEET.replaceSync(`
  :host { display: block; font: inherit; color-scheme: light dark; }
  :host([hidden]), [hidden] { display: none !important; }
  section { display: flex; flex-wrap: wrap; gap: 0.5rem 0.9rem; align-items: center; padding: 0.6rem 1rem;
    background: var(--asb-background, light-dark(#ffffff, #1d2229)); color: var(--asb-text, light-dark(#14181f, #eceff4));
    border: 1px solid var(--asb-border, light-dark(#d4d9e0, #39414d)); border-radius: var(--asb-radius, 0.6rem); }
  p { margin: 0; }
  .what { margin-inline-end: auto; display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: center; min-width: 0; }
  .status { display: inline-flex; gap: 0.4rem; align-items: center; padding: 0.05rem 0.65rem; border-radius: 99px;
    font-weight: 600; font-size: 0.875em; color: var(--tone); border: 1px solid currentcolor; }
  .status::before { content: ""; width: 0.55em; height: 0.55em; border-radius: 50%; background: currentcolor; }
  [data-status="pending"] { --tone: var(--asb-pending, light-dark(#7a5200, #f2c14e)); }
  [data-status="waiting"] { --tone: var(--asb-waiting, light-dark(#0b5cad, #7db8ff)); }
  [data-status="live"] { --tone: var(--asb-live, light-dark(#0f6b3a, #5fd393)); }
  [data-status="scheduled"] { --tone: var(--asb-scheduled, light-dark(#6b3fa0, #c9a6ff)); }
  [data-status="live"]::before { animation: pulse 1.4s ease-in-out infinite; }
  @keyframes pulse { 50% { opacity: 0.25; transform: scale(0.7); } }
  @media (prefers-reduced-motion: reduce) { [data-status="live"]::before { animation: none; } }
  button, a { font: inherit; min-height: 2.75rem; padding: 0.35rem 0.9rem; display: inline-flex; align-items: center;
    border-radius: var(--asb-radius, 0.6rem); cursor: pointer; text-decoration: none; box-sizing: border-box;
    border: 1px solid var(--asb-border, light-dark(#d4d9e0, #39414d)); background: none; color: inherit; }
  a { background: var(--asb-accent, light-dark(#0b5cad, #7db8ff)); color: var(--asb-on-accent, light-dark(#ffffff, #0d1a2b));
    border-color: transparent; font-weight: 600; }
  .confirm { color: var(--asb-danger, light-dark(#b3261e, #ff8f87)); border-color: currentcolor; font-weight: 600; }
  dialog { box-sizing: border-box; max-width: min(30rem, calc(100vw - 2rem)); padding: 1rem; font: inherit;
    background: var(--asb-background, light-dark(#ffffff, #1d2229)); color: var(--asb-text, light-dark(#14181f, #eceff4));
    border: 1px solid var(--asb-border, light-dark(#d4d9e0, #39414d)); border-radius: var(--asb-radius, 0.6rem); }
  dialog::backdrop { background: var(--asb-backdrop, #0008); }
  dialog .choices { display: flex; flex-wrap: wrap; gap: 0.75rem; margin-top: 1rem; }
  .question { font-weight: 600; font-size: 1.125em; }
  .consequence { margin-top: 0.4rem; }
  :focus-visible { outline: 3px solid var(--asb-accent, light-dark(#0b5cad, #7db8ff)); outline-offset: 2px; }
  .message { flex-basis: 100%; color: var(--asb-danger, light-dark(#b3261e, #ff8f87)); }
`);

/** A refusal by the API, or a failed request. */
class LoadError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

export class ActiveSessionBanner extends HTMLElement {
  static observedAttributes = ["api", "user", "refresh"];

  /** A token, or a function that returns one or a promise of one; read again for every call. */
  get token() {
    return this.#token;
  }

  set token(value) {
    this.#token = value;
    if (this.isConnected) this.#start();
  }

  /** The active session as the API answers it; null when there is none. */
  get session() {
    return this.#session;
  }

  #token = null;
  #session = null;
  #ready = false;
  #generation = 0; // counts connections to the page: late answers to an earlier one are ignored
  #timer = null;
  #socket = null;
  #keepAlive = null;
  #tries = 0;
  #since = null;
  #feed = null;
  #parts = {};

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = [SHEET];
    this.#build();
  }

  connectedCallback() {
    if (Object.hasOwn(this, "token")) { // set before this module was loaded
      const early = this.token;
      delete this.token;
      this.#token = early;
    }
    document.addEventListener("visibilitychange", this.#seen);
    this.#start();
  }

  disconnectedCallback() {
    document.removeEventListener("visibilitychange", this.#seen);
    this.#stop();
  }

  attributeChangedCallback(name, before, after) {
    if (this.isConnected && before !== after) this.#start();
  }

  /** Checks now for an active session; never rejects, but reports a failure by `autodoctor:loaderror`. */
  async refresh() {
    const generation = this.#generation;
    clearTimeout(this.#timer);
    try {
      const { session } = await this.#call("GET", `/api/${this.#user}/active-session`);
      if (generation === this.#generation) this.#show(session);
    } catch (error) {
      if (generation === this.#generation) this.#tell("loaderror", { status: error.status ?? 0, message: error.message });
    }
    if (generation === this.#generation) this.#refreshLater();
  }

  /** Shows what the page knows already, as the API answers it: then it need not ask. */
  show(session) {
    clearTimeout(this.#timer);
    this.#show(session);
    this.#refreshLater();
  }

  get #user() {
    return this.getAttribute("user") === "mechanic" ? "mechanic" : "customer";
  }

  #build() {
    const part = (tag, name, text = "") => {
      const element = document.createElement(tag);
      element.setAttribute("part", name);
      element.textContent = text;
      this.#parts[name] = element;
      return element;
    };
    const banner = part("section", "banner");
    banner.setAttribute("aria-label", "Your session");
    banner.hidden = true;
    const what = document.createElement("p");
    what.className = "what";
    what.setAttribute("role", "status");
    const status = part("span", "status");
    status.className = "status";
    what.append(part("strong", "type"), status, part("span", "counterpart"));
    const back = part("a", "return", "Return to session");
    back.addEventListener("click", (event) => {
      if (!this.#tell("return", { session: this.#session }, true)) event.preventDefault();
    });
    const end = part("button", "end", "End session");
    end.type = "button";
    end.setAttribute("aria-haspopup", "dialog");
    end.addEventListener("click", () => end.ariaDisabled === "true" || this.#ask());
    const message = part("p", "message");
    message.className = "message";
    message.setAttribute("role", "alert");
    message.hidden = true;
    banner.append(what, back, end, message);
    this.shadowRoot.append(banner, this.#buildDialog(part));
  }

  #buildDialog(part) {
    const dialog = part("dialog", "dialog");
    for (const [name, attribute] of [["question", "aria-labelledby"], ["consequence", "aria-describedby"]]) {
      const line = part("p", name);
      line.id = line.className = name;
      dialog.setAttribute(attribute, name);
      dialog.append(line);
    }
    const choices = document.createElement("div");
    choices.className = "choices";
    for (const [name, text] of [["confirm", "End it now"], ["keep", "Keep it"]]) {
      const button = part("button", name, text);
      button.type = "button"; // no form: a page's policy may forbid them
      button.className = name;
      button.autofocus = name === "keep";
      button.addEventListener("click", () => dialog.close(name));
      choices.append(button);
    }
    dialog.append(choices);
    dialog.addEventListener("close", () => dialog.returnValue === "confirm" && this.#end());
    return dialog;
  }

  #seen = () => {
    if (!document.hidden && this.isConnected) this.refresh();
  };

  #start() {
    this.#stop();
    if (!this.#token) return;
    this.refresh();
    if (this.getAttribute("feed") !== "off") this.#openFeed();
  }

  #stop() {
    this.#generation += 1;
    clearTimeout(this.#timer);
    clearInterval(this.#keepAlive);
    this.#socket?.close();
    this.#socket = null;
  }

  #refreshLater() {
    const seconds = Number(this.getAttribute("refresh")) || REFRESH_SECONDS;
    this.#timer = setTimeout(() => document.hidden || this.refresh(), seconds * 1000);
  }

  async #call(method, path, body) {
    const base = this.getAttribute("api") ?? "";
    let response, token;
    try {
      token = typeof this.#token === "function" ? await this.#token() : this.#token;
    } catch {
      throw new LoadError("The service cannot be reached.");
    }
    if (!token) throw new LoadError("Signed out.", 401); // which the API would say
    try {
      response = await fetch(base.replace(/\/$/, "") + path, {
        method,
        headers: { Authorization: `Bearer ${token}`, ...(body ? { "Content-Type": "application/json" } : {}) },
        body: body && JSON.stringify(body),
        signal: AbortSignal.timeout(CALL_SECONDS * 1000),
      });
    } catch {
      throw new LoadError("The service cannot be reached.");
    }
    const document = await response.json().catch(() => ({}));
    if (!response.ok) throw new LoadError(document.detail ?? document.message ?? response.statusText, response.status);
    return document;
  }

  #show(session) {
    const before = this.#session;
    this.#session = session;
    this.#say("");
    const { banner, type, status, counterpart, return: back } = this.#parts;
    banner.hidden = session === null;
    if (before && before.sessionId !== session?.sessionId) this.#parts.dialog.close();
    if (session) {
      this.#sayConsequence(session);
      type.textContent = TYPES[session.sessionType] ?? session.sessionType;
      status.textContent = STATES[session.status] ?? session.status;
      status.dataset.status = session.status;
      counterpart.textContent = session.counterpartName ? `with ${session.counterpartName}` : "";
      back.href = session.sessionUrl;
    }
    if (!this.#ready) {
      this.#ready = true;
      this.#tell("ready", { session });
    }
    if (before?.sessionId !== session?.sessionId || before?.status !== session?.status) this.#tell("change", { session, before });
  }

  #ask() {
    const { dialog } = this.#parts;
    dialog.returnValue = ""; // Escape does not change it
    dialog.showModal();
  }

  /** The consequence of ending it; written again when its state changes while the dialog is open. */
  #sayConsequence({ status }) {
    const { question, consequence, confirm } = this.#parts;
    const asked = status === "pending" || status === "scheduled";
    question.textContent = asked ? "Cancel this request?" : "End this session?";
    confirm.textContent = asked ? "Cancel the request" : "End it now";
    const paid = this.#user === "mechanic" ? "you are paid for it; if not, the customer is charged nothing." : "it is paid for; if not, nothing is charged.";
    consequence.textContent = {
      live: `It ends for both of you and cannot be opened again. If you were together long enough, ${paid}`,
      waiting: `It has not begun, and is cancelled for both of you. ${BACK}`,
    }[status] ?? `It leaves the queue, and no mechanic will take it. ${BACK}`;
  }

  async #end() {
    const { end } = this.#parts;
    const session = this.#session;
    end.ariaDisabled = "true"; // not disabled, which would take the focus from it
    try {
      const outcome = await this.#call("POST", `/api/sessions/${session.sessionId}/end`, {});
      this.#show(null);
      this.#tell("ended", outcome);
      this.refresh();
    } catch (error) {
      this.#say(error.message);
      this.#tell("loaderror", { status: error.status ?? 0, message: error.message });
    } finally {
      end.ariaDisabled = null;
    }
  }

  #say(text) {
    this.#parts.message.textContent = text;
    this.#parts.message.hidden = !text;
  }

  /** Events are namespaced, bubble and cross shadow roots; returns false when a listener prevented the default. */
  #tell(name, detail, cancelable = false) {
    return this.dispatchEvent(new CustomEvent(`autodoctor:${name}`, { detail, bubbles: true, composed: true, cancelable }));
  }

  async #openFeed() {
    const generation = this.#generation;
    let superseded = false; // newer pages of this user have pushed this one out: it waits until it is looked at
    let socket;
    try {
      const { ticket, url } = await this.#call("POST", "/api/realtime/ticket", {});
      if (generation !== this.#generation) return;
      const query = new URLSearchParams({ ticket });
      if (this.#since !== null) query.set("since", this.#since);
      if (this.#feed !== null) query.set("feed", this.#feed);
      socket = this.#socket = new WebSocket(`${url}?${query}`);
    } catch (error) {
      const refused = error.status === 401; // another token starts anew
      if (generation === this.#generation && !refused) this.#openFeedLater(generation);
      return;
    }
    socket.addEventListener("open", () => {
      this.#tries = 0;
      const identify = () => socket.send('{"action": "identify"}'); // an idle connection is ended after ten minutes
      identify();
      this.#keepAlive = setInterval(identify, KEEP_ALIVE_SECONDS * 1000);
    });
    socket.addEventListener("message", ({ data }) => {
      const { type, seq, payload } = JSON.parse(data);
      if (type === "superseded") superseded = true;
      const feed = payload?.feed ?? this.#feed;
      if (feed !== this.#feed) this.#since = null; // numbers of another history
      this.#feed = feed;
      if (seq !== undefined) this.#since = Math.max(this.#since ?? 0, seq);
      if (type === "session_updated" || type === "resync") this.refresh();
    });
    socket.addEventListener("close", () => {
      clearInterval(this.#keepAlive);
      if (generation !== this.#generation) return;
      if (!superseded) this.#openFeedLater(generation);
      else addEventListener("focus", () => generation === this.#generation && this.#openFeed(), { once: true });
    });
  }

  #openFeedLater(generation) {
    const seconds = Math.min(MOST_SECONDS_BETWEEN_TRIES, 2 ** this.#tries) * (0.5 + Math.random() / 2);
    this.#tries += 1;
    setTimeout(() => generation === this.#generation && this.#openFeed(), seconds * 1000);
  }
}

if (!customElements.get("active-session-banner")) customElements.define("active-session-banner", ActiveSessionBanner);
