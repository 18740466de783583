/** Calls the API with the signed-in person's token; a refusal is thrown as a Problem that can be shown. */

import { bearer, signIn, signInAgain } from "./auth.js";

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
  const token = await reached(bearer());
  if (!token) return left(signIn());
  let response = await reached(sent(method, path, body, headers, token));
  const renewed = response.status === 401 && (await reached(bearer(token)));
  if (renewed) response = await reached(sent(method, path, body, headers, renewed));
  if (response.ok && read) return read(response);
  const document = await response.json().catch(() => ({}));
  if (response.ok) return document;
  if (response.status === 401) {
    const leaving = signInAgain();
    if (leaving) return left(leaving);
  }
  throw new Problem({ status: response.status, title: response.statusText, ...document }, response.headers.get("x-request-id"));
}

function sent(method, path, body, headers, token) {
  return fetch(path, {
    method,
    headers: { Authorization: `Bearer ${token}`, ...(body ? { "Content-Type": "application/json" } : {}), ...headers },
    body: body ? JSON.stringify(body) : undefined,
    signal: AbortSignal.timeout(LONGEST_MS),
  });
}

/** What comes of an answer that may not come. */
async function reached(answer) {
  try {
    return await answer;
  } catch {
    throw new Problem({ status: 0, title: "No connection", detail: "The service cannot be reached. Check your connection." });
  }
}

/** Never resolves: the page is being left for the sign-in, unless that cannot be reached. */
async function left(leaving) {
  await reached(leaving);
  return new Promise(() => {});
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}, headers = {}) => call("POST", path, body, headers);
export const patch = (path, body) => call("PATCH", path, body);
