/**
 * What a page knows of a room: its messages in the order of `seq`, who has read how far, and who is there. It has no
 * page and no network: it is told what came, in whatever order and however often, and says what is missing.
 */

const GIVEN_BACK = ["released", "replaced", "mechanic_absent", "taken_back"]; // the next mechanic has read nothing yet

export class Room extends EventTarget {
  /** The highest `seq` that anybody has told us of. */
  latest = 0;
  /** How far each party has read. */
  read = { customer: 0, mechanic: 0 };
  /** Who is in the room; null until the feed has said so. */
  present = null;

  #messages = []; // without gaps: the one with `seq` stands at seq - first
  #ahead = new Map(); // by `seq`: those that came before what precedes them
  #start = null; // the lowest `seq` of the newest page, with which reading begins; null until it came

  /** The lowest `seq` at hand; one more than the highest while there is none. */
  get first() {
    return this.#messages[0]?.seq ?? this.#start ?? this.latest + 1;
  }

  /** The highest `seq` up to which nothing is missing. */
  get last() {
    return this.#messages.at(-1)?.seq ?? (this.#start ?? 1) - 1;
  }

  /** Whether messages are missing between those at hand and the newest. */
  get lacks() {
    return this.#start !== null && this.latest > this.last;
  }

  /** Whether there are older messages than those at hand. */
  get hasOlder() {
    return this.#start !== null && this.first > 1;
  }

  /** One message; undefined where it is not at hand. */
  at(seq) {
    return this.#messages[seq - this.first];
  }

  /** Whether this party has written a word or sent a picture, as far as the messages at hand tell. */
  hasSpoken(role) {
    return this.#messages.some((each) => each.role === role);
  }

  /**
   * Takes a page of messages, from the API or the feed, and what it says of the room.
   * @param {{messages: Object[], latest: number, read: Object, present?: Object}} page
   */
  absorb({ messages, latest, read, present }) {
    this.#start ??= messages.length ? Math.min(...messages.map(({ seq }) => seq)) : latest + 1;
    this.#take(messages, latest);
    if (read) this.reads(read);
    if (present) this.presence(present);
  }

  /** Takes one message that was pushed. */
  push(message) {
    this.#take([message], message.seq);
  }

  /** A party has read this far; it only grows, until another mechanic takes the session. */
  reads(read) {
    let grown = false;
    for (const role of ["customer", "mechanic"]) {
      if ((read[role] ?? 0) > this.read[role]) {
        this.read[role] = read[role];
        grown = true;
      }
    }
    if (grown) this.dispatchEvent(new Event("read"));
  }

  /** Who is in the room now; a party that is not named stays as it was. */
  presence(present) {
    const now = { customer: false, mechanic: false, ...this.present, ...present };
    const changed = !this.present || now.customer !== this.present.customer || now.mechanic !== this.present.mechanic;
    this.present = now;
    if (changed) this.dispatchEvent(new Event("present"));
  }

  #take(messages, latest = 0) {
    const before = { first: this.first, last: this.last };
    this.latest = Math.max(this.latest, latest ?? 0, ...messages.map(({ seq }) => seq));
    const changed = [];
    const older = [];
    for (const message of messages.toSorted((one, other) => one.seq - other.seq)) {
      if (this.#start !== null && message.seq < this.first) older.push(message);
      else if (this.at(message.seq)) this.#replace(message, changed);
      else this.#ahead.set(message.seq, message);
    }
    this.#prepend(older);
    this.#advance();
    const appended = this.#messages.slice(Math.max(0, before.last + 1 - this.first));
    if (appended.some(({ note }) => GIVEN_BACK.includes(note))) this.#unread();
    const prepended = before.last >= before.first ? before.first - this.first : 0;
    if (appended.length || prepended || changed.length) this.dispatchEvent(new CustomEvent("change", { detail: { appended, prepended, changed } }));
    if (this.lacks) this.dispatchEvent(new Event("lacking"));
  }

  #unread() {
    this.read.mechanic = 0;
    this.dispatchEvent(new Event("read"));
  }

  /** A message that came again: only what may change of it, such as the state of a file, is news. */
  #replace(message, changed) {
    const known = this.at(message.seq);
    if (JSON.stringify(known) === JSON.stringify({ ...known, ...message })) return;
    this.#messages[message.seq - this.first] = { ...known, ...message };
    changed.push(message.seq);
  }

  /** Puts those before the first, as far as they join it without a gap. */
  #prepend(older) {
    for (const message of older.reverse()) if (message.seq === this.first - 1) this.#messages.unshift(message);
  }

  /** Takes what is next from those that came ahead; before the first page it is unknown what is next. */
  #advance() {
    if (this.#start === null) return;
    for (let message = this.#ahead.get(this.last + 1); message; message = this.#ahead.get(this.last + 1)) {
      this.#ahead.delete(message.seq);
      this.#messages.push(message);
    }
  }
}
