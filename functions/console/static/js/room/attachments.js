/** Pictures and documents in the list of messages: asked for when they are seen, and again while they are checked. */

import { get } from "../api/api.js";
import { announce, el } from "../lib/dom.js";
import { busy } from "../lib/shell.js";
import { size } from "./files.js";

const FRESH_MS = 50_000; // an address is good for 60 s
const CHECK_SECONDS = [2, 3, 5, 10, 15];
const CHECKED = "Being checked for viruses …";
const LOST = { refused: "It was refused: it is not safe.", gone: "It is no longer kept." };
const addresses = new Map(); // by attachment: {url, at}
const own = new Map(); // by attachment: the object URL of what this page has sent itself

/** Remembers the picture that this page has sent as this attachment, so that its writer sees it at once. */
export function keep(attachmentId, file) {
  own.set(attachmentId, objectUrl(file));
}

function objectUrl(file) {
  file.url ??= URL.createObjectURL(file.blob);
  return file.url;
}

async function address(attachmentId) {
  const known = addresses.get(attachmentId);
  if (known && Date.now() - known.at < FRESH_MS) return known.url;
  const { url } = await get(`/api/attachments/${attachmentId}`);
  addresses.set(attachmentId, { url, at: Date.now() });
  return url;
}

/**
 * One file of a message.
 * @param {Object} attachment as the API shows it, or with `local` one that is not sent yet
 * @param {string} who sent it
 */
export function fileView(attachment, who) {
  return attachment.contentType?.startsWith("image/") ? picture(attachment, who) : paper(attachment);
}

const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    target.dispatchEvent(new Event("seen"));
  }
}, { rootMargin: "400px" });

function picture(attachment, who) {
  const alt = `Picture of ${who}: ${attachment.name}`;
  const note = el("span.note", {}, "");
  const frame = el("button.picture", { type: "button", "aria-label": `${alt}. Show it large`, disabled: true }, note);
  const show = (url) => {
    const image = el("img", { src: url, alt: "", decoding: "async" });
    image.addEventListener("error", () => {
      addresses.delete(attachment.attachmentId);
      image.remove();
      note.textContent = "The picture cannot be loaded just now.";
    });
    note.textContent = "";
    frame.append(image);
    frame.disabled = false;
    frame.addEventListener("click", () => large(image.src, alt, attachment, frame));
  };
  const lost = LOST[attachment.state];
  const at = attachment.local ? objectUrl(attachment.local) : own.get(attachment.attachmentId);
  if (at) show(at);
  else if (lost) note.textContent = lost;
  else {
    if (attachment.state !== "clean") note.textContent = CHECKED;
    const ask = () => wanted(attachment, frame, note, show);
    // who asks at once for what is only coming gets nothing but a refusal
    frame.addEventListener("seen", () => setTimeout(ask, attachment.state === "clean" ? 0 : CHECK_SECONDS[0] * 1000));
    seen.observe(frame);
  }
  return frame;
}

/** Asks for the address until the file is checked; ends when the element leaves the page. */
async function wanted(attachment, frame, note, show, tries = 0) {
  try {
    show(await address(attachment.attachmentId));
  } catch (problem) {
    note.textContent = fate(problem);
    if (problem.slug !== "attachment-not-ready" && problem.status) return;
    setTimeout(() => frame.isConnected && wanted(attachment, frame, note, show, tries + 1), CHECK_SECONDS[Math.min(tries, CHECK_SECONDS.length - 1)] * 1000);
  }
}

function fate({ slug, status, message }) {
  if (slug === "attachment-not-ready") return CHECKED;
  return status ? message : "Waiting for the connection …";
}

function paper(attachment) {
  const open = el("button.paper", { type: "button" }, el("strong", {}, attachment.name), el("span.quiet", {}, ` PDF, ${size(attachment.bytes)}`));
  open.addEventListener("click", () =>
    busy(open, async () => {
      const url = attachment.local ? objectUrl(attachment.local) : await address(attachment.attachmentId).catch((problem) => announce(fate(problem), "error"));
      if (url) el("a", { href: url, target: "_blank", rel: "noopener" }).click();
    }),
  );
  return open;
}

/** Shows a picture as large as the window. */
function large(url, alt, attachment, opener) {
  const close = el("button", { type: "button", autofocus: true, onclick: () => dialog.close() }, "Close");
  const dialog = el("dialog.large", { "aria-label": alt }, el("img", { src: url, alt }), el("p.row", {}, el("span.quiet", {}, attachment.name), close));
  dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (opener.isConnected) opener.focus({ preventScroll: true });
  });
  document.body.append(dialog);
  dialog.showModal();
}
