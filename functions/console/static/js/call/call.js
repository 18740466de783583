/** The call on the session's page: a button, both faces, and what one can do in it. The talk goes on below it. */

import { post } from "../api/api.js";
import { announce, el, keepFocus } from "../lib/dom.js";
import { action } from "../lib/shell.js";
import { canFlip, flipped, opened, silence } from "./devices.js";
import { hearing } from "./hearing.js";
import { hasMedium, newMedium } from "./medium.js";
import { previewed } from "./preview.js";
import { still } from "./still.js";

const OPEN = ["connecting", "live"];
const BEGUN_MS = 30_000; // by then the session was fetched again, and says whether the other is in the call
const ENDED = {
  over: "The call is over.",
  elsewhere: "The call goes on at your other device. You can take it back here.",
  unreachable: "The call broke off, and could not be taken up again. Check your network, then join again.",
};

export class Call {
  #sessionId;
  #take;
  #kept;
  #session = null;
  #stage = null;
  #offered = false; // whether there is a medium
  #medium = null;
  #tracks = { audio: null, video: null };
  #stopHearing = null;
  #other = { here: false, video: false };
  #state = null;
  #why = ""; // the last one ended
  #begunAt = null; // when the other pressed, as the talk says
  #pressed = false;
  #theirs = el("video", { autoplay: true, playsInline: true });
  #mine = el("video.mine-face", { autoplay: true, playsInline: true, muted: true, "aria-label": "You" });
  #words = el("p.words-over", { role: "status" });
  #start = action("Start video", () => this.#begin(), { kind: "primary", id: "start-call", "aria-haspopup": "dialog" });
  #ended = el("p.quiet", { role: "status" });
  #idle = el("div.row.call-idle", {}, this.#start, this.#ended);
  #acts = {
    leave: action("Leave call", () => this.#leave(), { kind: "danger", id: "leave-call" }),
    mute: action("Mute", () => this.#mute(), { "aria-pressed": "false" }),
    camera: action("Camera off", () => this.#camera(), {}),
    flip: action("Other camera", () => this.#flip(), { hidden: true }),
    still: action("Take a still", () => this.#still(), { hidden: true }),
    small: action("Small window", () => this.#theirs.requestPictureInPicture(), { hidden: true }),
  };
  #panel = el("div.faces", {}, this.#theirs, this.#words, this.#mine);
  #running = el("div.running", {}, this.#panel, el("div.row.call-acts", {}, Object.values(this.#acts)));

  /**
   * @param {Object} parts
   * @param {string} parts.sessionId
   * @param {function(File[]): void} parts.take puts pictures where the next message is written
   * @param {{read: function(): string, write: function(string): void}} parts.kept whether the reader was in the call when
   *   the page was left
   */
  constructor({ sessionId, take, kept }) {
    this.#sessionId = sessionId;
    this.#take = take;
    this.#kept = kept;
    this.element = el("section.call", { "aria-label": "Video call", hidden: true }, this.#idle, this.#running);
    this.#running.hidden = true;
    hasMedium().then((has) => {
      this.#offered = has;
      this.#draw();
    });
  }

  /** Follows the session. */
  show(session, stage, isMechanic) {
    [this.#session, this.#stage] = [session, stage];
    this.isMechanic = isMechanic;
    if (this.#medium && !OPEN.includes(stage)) this.#finish("over");
    this.#draw();
  }

  /** The talk says that a call has begun. */
  begun() {
    if (this.#pressed) return;
    this.#begunAt = Date.now();
    this.#draw();
  }

  /** Whether there is a call, or was one, as far as this page knows. */
  get hasBegun() {
    return this.#pressed || this.#begunAt !== null || (this.#session?.evidence?.intervals ?? []).some(({ source }) => source === "medium");
  }

  get #name() {
    return this.#session?.counterpartName ?? "the other";
  }

  /** Whether the other is in the call, as the medium says; at first only the talk does. */
  get #isCalled() {
    if (this.#begunAt && Date.now() - this.#begunAt < BEGUN_MS) return true;
    const other = this.isMechanic ? "customer" : "mechanic";
    return (this.#session?.evidence?.intervals ?? []).some(({ role, source, until }) => role === other && source === "medium" && !until);
  }

  async #begin() {
    const [chosen, place] = await Promise.all([previewed(this.#name), this.#admitted()]);
    if (!chosen) return;
    if (!place) {
      for (const track of Object.values(chosen)) track?.stop();
      return;
    }
    this.#tracks = chosen;
    this.#why = "";
    this.#kept.write("yes");
    await this.#join(place);
  }

  /** A place in the meeting; null, with the reason said, where there is none. */
  async #admitted() {
    this.#pressed = true;
    try {
      return await post(`/api/sessions/${this.#sessionId}/call`);
    } catch (problem) {
      if (problem.slug === "no-video") this.#offered = false;
      document.querySelector("dialog.preview")?.close("no");
      announce(problem.message, "error");
      this.#draw();
      return null;
    }
  }

  async #join(place) {
    const medium = (this.#medium = await newMedium());
    medium.addEventListener("state", ({ detail }) => medium === this.#medium && this.#changed(detail));
    medium.addEventListener("other", ({ detail }) => {
      this.#other = detail;
      this.#draw();
    });
    medium.addEventListener("stream", ({ detail }) => (this.#theirs.srcObject = detail));
    this.#tracks.video?.addEventListener("ended", () => this.#unplugged());
    await medium.join(place, [this.#tracks.audio ?? silence(), this.#tracks.video].filter(Boolean));
    this.#acts.flip.hidden = !this.#tracks.video || !(await canFlip());
    this.#draw();
  }

  #changed(state) {
    this.#state = state;
    if (state.ended) this.#finish(state.ended);
    else if (state === "connected") this.#stopHearing ??= hearing(this.#sessionId, () => this.#medium?.received() ?? 0);
    this.#draw();
  }

  /** The call is over for this page. */
  #finish(why) {
    this.#medium?.leave();
    this.#stopHearing?.(why === "over");
    for (const track of Object.values(this.#tracks)) track?.stop();
    if (document.pictureInPictureElement) document.exitPictureInPicture();
    this.#theirs.srcObject = null;
    [this.#medium, this.#stopHearing, this.#state] = [null, null, null];
    this.#tracks = { audio: null, video: null };
    this.#other = { here: false, video: false };
    this.#why = why;
    if (why !== "unreachable") this.#kept.write("");
    this.#draw();
  }

  #leave() {
    this.#finish("left");
    this.#start.focus();
  }

  #mute() {
    const { audio } = this.#tracks;
    if (audio) audio.enabled = !audio.enabled;
    else return this.#opens("audio");
    this.#draw();
  }

  async #camera() {
    const { video } = this.#tracks;
    if (!video) return this.#opens("video");
    video.stop(); // its light goes out
    this.#tracks.video = null;
    await this.#medium.send("video", null);
    this.#draw();
  }

  /** Opens a device that was off, or was not there. */
  async #opens(kind) {
    const { track, problem } = await opened(kind);
    if (problem) announce(problem, "error");
    else await this.#sends(track);
  }

  async #flip() {
    const { track, problem } = await flipped(this.#tracks.video);
    if (problem) announce(problem, "error");
    await this.#sends(track ?? (await opened("video")).track);
  }

  async #sends(track) {
    if (!track) return this.#unplugged();
    this.#tracks[track.kind] = track;
    track.addEventListener("ended", () => this.#unplugged());
    await this.#medium.send(track.kind, track);
    this.#draw();
  }

  /** A device was taken away while it was used. */
  #unplugged() {
    for (const [kind, track] of Object.entries(this.#tracks)) {
      if (track?.readyState !== "ended") continue;
      this.#tracks[kind] = null;
      announce(`Your ${kind === "video" ? "camera" : "microphone"} is gone. Plug it in, or use another one.`, "error");
    }
    this.#draw();
  }

  async #still() {
    const picture = await still(this.#theirs);
    if (picture) this.#take([picture]);
    else announce("There is no picture to keep yet.", "error");
  }

  #draw() {
    const runs = Boolean(this.#medium);
    this.element.hidden = !runs && !(this.#offered && this.#session?.terms.hasVideo && OPEN.includes(this.#stage));
    keepFocus(() => ([this.#idle.hidden, this.#running.hidden] = [runs, !runs]), runs ? this.#acts.mute : this.#start);
    document.body.toggleAttribute("data-calling", runs);
    this.#start.textContent = this.#why === "elsewhere" ? "Take it back" : this.#isCalled ? "Join the call" : this.#kept.read() ? "Join again" : "Start video";
    this.#ended.textContent = ENDED[this.#why] ?? (this.#isCalled ? `${this.#name} is in a video call and waits for you.` : this.#kept.read() ? "You were in a call when this page was left." : "");
    if (runs) this.#drawCall();
  }

  #drawCall() {
    const { audio, video } = this.#tracks;
    const there = this.#state === "connected" && this.#other.here;
    this.#theirs.hidden = !there || !this.#other.video;
    this.#theirs.setAttribute("aria-label", `Picture of ${this.#name}`);
    this.#say(this.#state !== "connected" ? (this.#state === "lost" ? "The connection broke off. Trying again …" : "Connecting …") : !there ? `Waiting for ${this.#name} …` : this.#other.video ? "" : `${this.#name} is here, without a picture.`);
    this.#mine.hidden = !video;
    const stream = this.#mine.srcObject;
    if (video && stream?.getTracks()[0] !== video) this.#mine.srcObject = new MediaStream([video]);
    const muted = !audio?.enabled;
    Object.assign(this.#acts.mute, { textContent: audio ? (muted ? "Unmute" : "Mute") : "Use microphone", ariaPressed: String(muted) });
    this.#acts.camera.textContent = video ? "Camera off" : "Camera on";
    this.#acts.flip.hidden ||= !video;
    const picture = !this.#theirs.hidden;
    keepFocus(() => ([this.#acts.still.hidden, this.#acts.small.hidden] = [!picture, !picture || !document.pictureInPictureEnabled]), this.#acts.mute);
  }

  #say(words) {
    if (this.#words.textContent !== words) this.#words.textContent = words;
    this.#words.hidden = !words;
  }
}
