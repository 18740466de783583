/** Calls the API with the signed-in person's token; a refusal is thrown as a Problem that can be shown. */

import { signedIn, signIn, signInAgain } from "./auth.js";

const LONGEST_MS = 30_000; // the API answers by then or not at all

/** A refusal by the API: a problem document of RFC 9457. */
export class Problem extends Error {
  /** @param {Object} document `type`, `title`, `status`, `detail`, and extras such as `errors` or `activeSession` */
  constructor(document, requestId) {
    super(document.detail ?? document.title ?? "Something went wrong.");
    this.document = document;
    this.status = document.status;
    this.slug = (document.type ?? "").split("/").pop();
    this.requestId = requestId;
  }
}

/**
 * Gets a file and hands it to the reader to keep.
 * @param {string} path from /api on, with its query
 * @param {string} name what the file is called
 * @throws {Problem} the API's refusal
 */
export async function download(path, name) {
  const blob = await call("GET", path, undefined, {}, (response) => response.blob());
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/**
 * Makes one call.
 * @param {string} method
 * @param {string} path from /api on, with its query
 * @param {Object} [body]
 * @param {Object<string, string>} [headers]
 * @param {function(Response): Promise<*>} [read] what an answer is read as; by default a JSON document
 * @returns {Promise<Object>} the answer's document
 * @throws {Problem} the API's refusal
 */
export async function call(method, path, body, headers = {}, read = null) {
  const who = signedIn();
  if (!who) {
    signIn();
    return new Promise(() => {}); // the page is being left
  }
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: { Authorization: `Bearer ${who.token}`, ...(body ? { "Content-Type": "application/json" } : {}), ...headers },
      body: body ? JSON.stringify(body) : undefined,
      signal: AbortSignal.timeout(LONGEST_MS),
    });
  } catch {
    throw new Problem({ status: 0, title: "No connection", detail: "The service cannot be reached. Check your connection." });
  }
  if (response.ok && read) return read(response);
  const document = await response.json().catch(() => ({}));
  if (response.ok) return document;
  if (response.status === 401 && signInAgain()) return new Promise(() => {});
  throw new Problem({ status: response.status, title: response.statusText, ...document }, response.headers.get("x-request-id"));
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}, headers = {}) => call("POST", path, body, headers);
export const patch = (path, body) => call("PATCH", path, body);
