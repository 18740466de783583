/** Where a message is written: text, and pictures that are pasted, dropped, chosen or taken with the camera. */

import { announce, el } from "../lib/dom.js";
import { prepared, size, Unsendable } from "./files.js";

const LONGEST = 4000; // characters
const NEARLY = 3600;
const MOST_FILES = 10; // at once

export class Composer extends EventTarget {
  #kept;
  #tray = el("ul.tray", { "aria-label": "Pictures to be sent" });
  #text;
  #count = el("p.quiet.count", { hidden: true });
  #files = [];
  #reading = 0;

  /**
   * Events: `send` (detail: {text, files}), `typing`.
   * @param {{read: function(): string, write: function(string): void}} kept where what is typed outlives a reload
   */
  constructor(kept) {
    super();
    this.#kept = kept;
    const touch = matchMedia("(pointer: coarse)").matches;
    this.#text = el("textarea", { id: "message", name: "message", rows: 1, maxlength: LONGEST, placeholder: "Message", enterkeyhint: touch ? "enter" : "send", "aria-describedby": "message-hint" });
    this.#text.value = kept.read();
    const chosen = el("input", { type: "file", accept: "image/*,.heic,.heif,application/pdf", multiple: true, hidden: true, id: "file" });
    const camera = el("input", { type: "file", accept: "image/*", capture: "environment", hidden: true, id: "camera" });
    for (const input of [chosen, camera]) {
      input.addEventListener("change", () => {
        this.take([...input.files]);
        input.value = ""; // the same file may be chosen again
      });
    }
    this.element = el(
      "form.composer",
      { "aria-label": "Write a message" },
      this.#tray,
      el("div.line", {}, this.#button("Add a picture or a PDF", PICTURE, () => chosen.click()), touch && this.#button("Take a picture", CAMERA, () => camera.click()), el("label.unseen", { for: "message" }, "Message"), this.#text, el("button.primary.send", { type: "submit" }, "Send")),
      el("p.quiet.unseen", { id: "message-hint" }, touch ? "" : "Enter sends it, Shift and Enter begin a new line."),
      this.#count,
      chosen,
      camera,
    );
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.#text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || touch) return;
      event.preventDefault();
      this.#send();
    });
    this.#text.addEventListener("input", () => this.#typed());
    this.#text.addEventListener("paste", (event) => {
      if (!event.clipboardData?.files.length) return;
      event.preventDefault();
      this.take([...event.clipboardData.files]);
    });
    this.#typed();
  }

  /** Lets files be dropped on an element. */
  droppable(element) {
    const carries = ({ dataTransfer }) => dataTransfer?.types.includes("Files") && !this.element.hidden;
    let depth = 0;
    const mark = () => element.toggleAttribute("data-dropping", depth > 0);
    element.addEventListener("dragenter", (event) => carries(event) && ((depth += 1), mark()));
    element.addEventListener("dragleave", (event) => carries(event) && ((depth -= 1), mark()));
    element.addEventListener("dragover", (event) => carries(event) && event.preventDefault());
    element.addEventListener("drop", (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      depth = 0;
      mark();
      this.take([...event.dataTransfer.files]);
    });
  }

  focus() {
    this.#text.focus();
  }

  /** Whether something is written or chosen that is not sent. */
  get isEmpty() {
    return !this.#text.value.trim() && !this.#files.length && !this.#reading;
  }

  /** Takes files to be sent with the next message; says of each that cannot be sent why. */
  async take(files) {
    for (const file of files.slice(0, MOST_FILES - this.#files.length)) {
      this.#reading += 1;
      this.#show();
      try {
        this.#files.push(await prepared(file));
      } catch (problem) {
        if (!(problem instanceof Unsendable)) throw problem;
        announce(problem.message, "error");
      } finally {
        this.#reading -= 1;
        this.#show();
      }
    }
    if (files.length > MOST_FILES) announce(`At most ${MOST_FILES} at once.`, "error");
    this.#text.focus();
  }

  #send() {
    if (this.isEmpty || this.#reading) return;
    const detail = { text: this.#text.value.trim(), files: this.#files };
    this.#files = [];
    this.#text.value = "";
    this.#typed(false);
    this.#show();
    this.dispatchEvent(new CustomEvent("send", { detail }));
    this.#text.focus();
  }

  #typed(byHand = true) {
    const { value } = this.#text;
    this.#kept.write(value);
    this.#text.rows = Math.min(6, value.split("\n").length); // where `field-sizing` is unknown
    this.#count.hidden = value.length < NEARLY;
    this.#count.textContent = `${LONGEST - value.length} characters left`;
    if (byHand && value.trim()) this.dispatchEvent(new Event("typing"));
  }

  #show() {
    this.#tray.replaceChildren(
      ...this.#files.map((file) => {
        file.url ??= URL.createObjectURL(file.blob);
        const shown = file.contentType === "application/pdf" ? el("span.paper", {}, `${file.name}, ${size(file.bytes)}`) : el("img", { src: file.url, alt: file.name });
        const remove = () => {
          this.#files = this.#files.filter((each) => each !== file);
          this.#show();
          this.#text.focus();
        };
        return el("li", {}, shown, el("button", { type: "button", "aria-label": `Remove ${file.name}`, onclick: remove }, "✕"));
      }),
      ...(this.#reading ? [el("li.quiet", { role: "status" }, "Reading the picture …")] : []),
    );
    this.#tray.hidden = !this.#tray.children.length;
  }

  #button(label, path, onclick) {
    const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    for (const [name, value] of Object.entries({ viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" })) picture.setAttribute(name, value);
    const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
    line.setAttribute("d", path);
    picture.append(line);
    return el("button.icon", { type: "button", "aria-label": label, title: label, onclick }, picture);
  }
}

const PICTURE = "M4 5h16v14H4z M4 16l5-5 4 4 2-2 5 5 M15.5 9.5h.01";
const CAMERA = "M4 8h3l2-3h6l2 3h3v11H4z M12 10a3.5 3.5 0 1 0 0 7 3.5 3.5 0 1 0 0-7z";
