/** Pictures chosen with a request: each is sent at once, so that the request itself waits for little. */

import { post } from "../api/api.js";
import { announce, el, keepFocus } from "../lib/dom.js";
import { prepared, size, Unsendable, uploaded } from "../room/files.js";

const MOST = 4;

let chosen = []; // {file, attachmentId, sent: Promise}; not of one form: a refreshed page builds another one
let tray = null; // of the form in the page
let reading = 0;

/** The field, with what was chosen before the page was refreshed. */
export function pictureField() {
  tray = el("ul.tray", { "aria-label": "Pictures of your request" });
  const input = el("input", { type: "file", accept: "image/*,.heic,.heif,application/pdf", multiple: true, hidden: true, id: "pictures" });
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = ""; // the same file may be chosen again
  });
  const add = el("button", { type: "button", id: "add-pictures", onclick: () => input.click() }, "Add pictures");
  show();
  return el("section", { "aria-label": "Pictures" }, el("p", {}, add, input), el("p.quiet", {}, `A warning light, a leak, a part: at most ${MOST} pictures or PDF documents. Mechanics see the first one with your request.`), tray);
}

/**
 * The ids of the chosen pictures, in their order, once they are all sent.
 * @returns {Promise<string[]>} rejected where one could not be sent; it is gone from the field then
 */
export async function sentPictures() {
  await Promise.all(chosen.map(({ sent }) => sent));
  return chosen.map(({ attachmentId }) => attachmentId);
}

/** Forgets them: they belong to a request now. */
export function forgetPictures() {
  chosen = [];
  show();
}

async function take(files) {
  const room = MOST - chosen.length - reading;
  if (files.length > room) announce(`At most ${MOST}: the others were left out.`, "error");
  for (const file of files.slice(0, Math.max(0, room))) {
    reading += 1;
    show();
    try {
      keep(await prepared(file));
    } catch (problem) {
      if (!(problem instanceof Unsendable)) throw problem;
      announce(problem.message, "error");
    } finally {
      reading -= 1;
      show();
    }
  }
}

function keep(file) {
  const item = { file, attachmentId: null };
  item.sent = send(item);
  item.sent.catch(() => {
    chosen = chosen.filter((each) => each !== item);
    announce(`${file.name} could not be sent. Choose it again.`, "error");
    show();
  });
  chosen.push(item);
}

async function send(item) {
  const { name, contentType, bytes, sha256, blob } = item.file;
  const { attachmentId, upload } = await post("/api/intakes/attachments", { name, contentType, bytes, sha256 });
  await uploaded(upload, blob, () => {});
  item.attachmentId = attachmentId;
  show();
}

function show() {
  if (!tray) return;
  const full = chosen.length + reading >= MOST;
  const add = document.getElementById("add-pictures");
  if (add) keepFocus(() => (add.disabled = full));
  tray.replaceChildren(...chosen.map(line), ...(reading ? [el("li.quiet", { role: "status" }, "Reading the picture …")] : []));
  tray.hidden = !tray.children.length;
}

function line(item) {
  const { file, attachmentId } = item;
  file.url ??= URL.createObjectURL(file.blob);
  const shown = file.contentType === "application/pdf" ? el("span.paper", {}, `${file.name}, ${size(file.bytes)}`) : el("img", { src: file.url, alt: file.name });
  const remove = () => {
    chosen = chosen.filter((each) => each !== item);
    show();
    document.getElementById("add-pictures")?.focus();
  };
  return el("li", { "aria-busy": attachmentId ? "false" : "true" }, shown, el("button", { type: "button", "aria-label": `Remove ${file.name}`, onclick: remove }, "✕"));
}
