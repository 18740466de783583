/** Before the call: how one looks, whether one is heard, and what is wrong with camera or microphone. */

import { answered, el } from "../lib/dom.js";
import { canFlip, flipped, opened, openedBoth } from "./devices.js";

const LEVEL_MS = 100;

/**
 * Shows the preview.
 * @param {string} name of the other, as the dialog says it
 * @returns {Promise<{audio: MediaStreamTrack|null, video: MediaStreamTrack|null}|null>} null: they do not join
 */
export function previewed(name) {
  return new Preview(name).asked();
}

class Preview {
  #tracks = { audio: null, video: null };
  #wanted = { audio: true, video: true };
  #meter = null;
  #picture = el("video", { muted: true, autoplay: true, playsInline: true, "aria-label": "Your picture" });
  #empty = el("p.quiet", {}, "Opening camera and microphone …");
  #level = el("meter", { min: 0, max: 1, value: 0, "aria-label": "Your sound" });
  #problems = el("div", { role: "status" });
  #flip = this.#button("Other camera", () => this.#flipped(), { hidden: true });
  #again = this.#button("Try again", () => this.#open(), { hidden: true });
  #join = el("button.primary", { value: "join", disabled: true }, "Join");
  #dialog;

  constructor(name) {
    const choice = (kind, label) => el("label.inline", {}, el("input", { type: "checkbox", checked: true, onchange: ({ target }) => this.#chosen(kind, target.checked) }), label);
    this.#dialog = el(
      "dialog.card.preview",
      { "aria-labelledby": "preview-title" },
      el(
        "form",
        { method: "dialog" },
        el("h2", { id: "preview-title" }, `Video with ${name}`),
        el("div.picture-frame", {}, this.#picture, this.#empty),
        el("p.row", {}, choice("video", "Camera"), choice("audio", "Microphone"), this.#flip),
        el("p.row.sound", {}, el("span.quiet", {}, "Say something:"), this.#level),
        this.#problems,
        el("p.row", {}, this.#join, this.#again, el("button", { value: "no", formnovalidate: true }, "Cancel")),
      ),
    );
  }

  async asked() {
    const answer = answered(this.#dialog);
    this.#open();
    const joins = (await answer) === "join";
    clearInterval(this.#meter);
    for (const [kind, track] of Object.entries(this.#tracks)) if (!joins || !this.#wanted[kind]) track?.stop();
    if (!joins) return null;
    return { audio: this.#wanted.audio ? this.#tracks.audio : null, video: this.#wanted.video ? this.#tracks.video : null };
  }

  async #open() {
    this.#empty.textContent = "Opening camera and microphone …";
    this.#again.hidden = true;
    const both = await openedBoth();
    for (const kind of ["audio", "video"]) this.#tracks[kind] = both[kind].track;
    if (!this.#dialog.open) {
      for (const track of Object.values(this.#tracks)) track?.stop();
      return;
    }
    this.#show([both.video.problem, both.audio.problem]);
    this.#flip.hidden = !this.#tracks.video || !(await canFlip());
    this.#join.disabled = false;
    this.#listen();
  }

  async #flipped() {
    const { track, problem } = await flipped(this.#tracks.video);
    this.#tracks.video = track ?? (await opened("video")).track;
    this.#show([problem]);
  }

  #chosen(kind, on) {
    this.#wanted[kind] = on;
    if (this.#tracks[kind]) this.#tracks[kind].enabled = on;
    this.#show();
  }

  #show(problems = null) {
    const { video } = this.#tracks;
    const seen = video && this.#wanted.video;
    this.#picture.srcObject = seen ? new MediaStream([video]) : null;
    this.#picture.hidden = !seen;
    this.#empty.hidden = Boolean(seen);
    this.#empty.textContent = this.#wanted.video ? "Without a picture" : "Your camera is off";
    if (!problems) return;
    const told = problems.filter(Boolean);
    this.#problems.replaceChildren(...told.map((each) => el("p.warn", {}, each)));
    this.#again.hidden = !told.length;
    const { audio } = this.#tracks;
    this.#join.textContent = video || audio ? (video ? "Join" : "Join with sound only") : "Join to watch and listen";
  }

  #listen() {
    clearInterval(this.#meter);
    const { audio } = this.#tracks;
    this.#level.closest("p").hidden = !audio;
    if (!audio) return;
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    context.createMediaStreamSource(new MediaStream([audio])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    this.#meter = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      this.#level.value = Math.min(1, 4 * Math.sqrt(samples.reduce((sum, each) => sum + each * each, 0) / samples.length));
      if (!this.#dialog.open) context.close();
    }, LEVEL_MS);
  }

  #button(label, work, attributes) {
    return el("button", { type: "button", onclick: work, ...attributes }, label);
  }
}
