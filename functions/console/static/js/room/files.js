/**
 * Pictures and documents before they leave. A picture is drawn anew and encoded as JPEG: of what the camera wrote
 * beside it, such as the position of somebody's home, nothing is left, and no HEIC is sent that others cannot open.
 */

const MOST_BYTES = 20 * 1024 * 1024; // of what is sent
const MOST_PICTURE_BYTES = 120 * 1024 * 1024; // of what is read: it becomes smaller
const LONGEST_SIDE = 2560; // px: the letters on a part can be read
const QUALITY = 0.85;

/** What cannot be sent, with the reason in words for the person who chose it. */
export class Unsendable extends Error {}

/**
 * Makes of a chosen file what is sent.
 * @param {File} file
 * @returns {Promise<{name: string, contentType: string, bytes: number, sha256: string, blob: Blob}>}
 * @throws {Unsendable} it is no picture and no PDF, or too large
 */
export async function prepared(file) {
  const blob = (await isPdf(file)) ? file : await redrawn(file);
  if (blob.size > MOST_BYTES) throw new Unsendable(`${file.name} is larger than 20 MB. Send a smaller one, or a picture of the page that matters.`);
  const contentType = blob === file ? "application/pdf" : "image/jpeg";
  const bytes = await blob.arrayBuffer();
  return { name: named(file.name, contentType), contentType, bytes: blob.size, sha256: hex(await crypto.subtle.digest("SHA-256", bytes)), blob: new Blob([bytes], { type: contentType }) };
}

async function isPdf(file) {
  return (await file.slice(0, 5).text()) === "%PDF-";
}

async function redrawn(file) {
  if (file.size > MOST_PICTURE_BYTES) throw new Unsendable(`${file.name} is too large to be read here.`);
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => {
    throw new Unsendable(unreadable(file));
  });
  const scale = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // JPEG knows no transparency
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  canvas.width = canvas.height = 0; // phones keep a canvas's memory for long
  if (!blob) throw new Unsendable(unreadable(file));
  return blob;
}

function unreadable({ name, type }) {
  if (/hei[cf]/i.test(`${type} ${name}`)) return `This browser cannot read ${name}. Take the picture with the camera button here, or choose a JPEG.`;
  return `${name} cannot be sent: only pictures and PDF documents can.`;
}

function named(name, contentType) {
  const stem = name.replace(/\.[^.]*$/, "").slice(0, 100).trim() || "picture";
  return `${stem}${contentType === "application/pdf" ? ".pdf" : ".jpg"}`;
}

function hex(buffer) {
  return [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Sends a file to where the API has promised it a place.
 * @param {{url: string, fields: Object<string, string>}} place
 * @param {Blob} blob
 * @param {function(number): void} progress gets the part that is there, 0 to 1
 * @returns {Promise<void>} rejected with a `status`: 0 for no answer
 */
export function uploaded({ url, fields }, blob, progress) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", blob); // S3 ignores what comes after it
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not tell how far it is
    const failed = () => reject(Object.assign(new Error("The file was not accepted."), { status: request.status }));
    request.upload.addEventListener("progress", ({ loaded, total }) => total && progress(loaded / total));
    request.addEventListener("load", () => (request.status >= 200 && request.status < 300 ? resolve() : failed()));
    for (const event of ["error", "timeout", "abort"]) request.addEventListener(event, failed);
    request.open("POST", url);
    request.timeout = 120_000;
    request.send(form);
  });
}

/** Bytes as people say them. */
export function size(bytes) {
  return bytes >= 1_000_000 ? `${(bytes / 1_000_000).toFixed(1)} MB` : `${Math.max(1, Math.round(bytes / 1000))} KB`;
}
