/**
 * Signing in at the API's token issuer: OpenID Connect, authorization code with PKCE (RFC 7636), and tokens renewed by
 * the issuer's refresh token (RFC 6749, section 6), so that nobody is sent away in the middle of a talk.
 * The tokens live in this tab's session storage, so two tabs can be two people, and closing one signs it out.
 */

const KEY = "autodoctor.signed-in";
const PENDING = "autodoctor.signing-in";
const FRESH_SECONDS = 60;
const AHEAD_MS = 60_000; // a token is renewed that long before it expires
const LONGEST_MS = 10_000; // the sign-in service answers by then or not at all
const REVOKING_MS = 2000; // that signing out waits, at most
const HOME = new URL("/console/index.html", location.origin).href;

let issuer = null;
let configuration = null; // the promise of it
let leaving = false;
let renewing = null; // the promise of it: a renewed token is good once

/** The console's configuration: {issuer, clientId, medium, sessions}. */
export function config() {
  configuration ??= fetch("/console/config.json")
    .then((answer) => answer.json())
    .catch((error) => {
      configuration = null; // asked again the next time
      throw error;
    });
  return configuration;
}

/** The console's configuration and the issuer's endpoints. */
async function discovered() {
  if (!issuer) {
    const known = await config();
    const found = await fetch(`${known.issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
    if (!found.ok) throw new Error("The sign-in service does not answer.");
    issuer = { ...known, ...(await found.json()) };
  }
  return issuer;
}

/** The person signed in to this tab: {sub, name, email, groups}, or null; name and e-mail may be unknown. */
export function signedIn() {
  const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
  return kept && (kept.refresh || kept.expiresAt > Date.now()) ? kept : null;
}

/**
 * The token for a call: renewed where it is about to expire, or was refused.
 * @param {string} [refused] a token that the API refused
 * @returns {Promise<string|null>} null where nothing but signing in helps
 * @throws {TypeError|DOMException} the token has expired, and the sign-in service cannot be reached
 */
export async function bearer(refused) {
  const who = signedIn();
  if (!who) return null;
  const isRefused = who.token === refused;
  if (!isRefused && who.expiresAt - Date.now() > AHEAD_MS) return who.token;
  if (isRefused && isFresh(who)) return null; // another one would be refused, too
  const usable = !isRefused && who.expiresAt > Date.now() ? who.token : null;
  if (!who.refresh) return usable;
  try {
    renewing ??= renewed(who).finally(() => (renewing = null));
    return (await renewing) ?? usable;
  } catch (error) {
    if (usable) return usable;
    throw error;
  }
}

/** Has the issuer give new tokens for the refresh token; null where it does not. */
async function renewed(who) {
  const response = await granted({ grant_type: "refresh_token", refresh_token: who.refresh });
  if (response.status >= 500) throw new TypeError("The sign-in service does not answer.");
  if (!response.ok) {
    sessionStorage.setItem(KEY, JSON.stringify({ ...who, refresh: null }));
    return null;
  }
  const given = await response.json();
  return signedIn() ? keep(who, given) : null; // signed out meanwhile
}

async function granted(form) {
  const { token_endpoint: endpoint, clientId } = await discovered();
  return fetch(endpoint, { method: "POST", body: new URLSearchParams({ ...form, client_id: clientId }), signal: AbortSignal.timeout(LONGEST_MS) });
}

/** Keeps what the issuer gave, by this machine's clock, which may be wrong; gives the access token. */
function keep(who, { access_token: token, refresh_token: refresh = who.refresh, id_token: identity, expires_in: seconds }) {
  const claims = claimsOf(token);
  const { name, email } = identity ? claimsOf(identity) : who; // only shown: the API trusts the other token
  const expiresAt = seconds ? Date.now() + seconds * 1000 : claims.exp * 1000;
  const kept = { token, refresh, sub: claims.sub, name: name ?? email, email, groups: claims["cognito:groups"] ?? [], since: Date.now(), expiresAt };
  sessionStorage.setItem(KEY, JSON.stringify(kept));
  return token;
}

const isFresh = ({ since }) => Date.now() - since < FRESH_SECONDS * 1000;

/** Goes to the issuer's page, which returns the reader to the present address. */
export async function signIn(returnTo = location.href) {
  if (leaving) return; // two calls may find the token expired at once: one redirect, one verifier
  leaving = true;
  const { authorization_endpoint: page, clientId } = await discovered().catch((error) => {
    leaving = false;
    throw error;
  });
  const verifier = random();
  const state = random();
  sessionStorage.setItem(PENDING, JSON.stringify({ verifier, state, returnTo }));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  const query = new URLSearchParams({
    response_type: "code",
    client_id: clientId,
    redirect_uri: HOME,
    scope: "openid",
    state,
    code_challenge: base64url(new Uint8Array(digest)),
    code_challenge_method: "S256",
  });
  location.assign(`${page}?${query}`);
}

/** Takes the code from the issuer's redirect; returns the address that the reader came from, or null. */
export async function finishSignIn() {
  const answer = new URLSearchParams(location.search);
  if (!answer.has("code") && !answer.has("error")) return null;
  history.replaceState(null, "", HOME);
  const pending = JSON.parse(sessionStorage.getItem(PENDING) ?? "null");
  sessionStorage.removeItem(PENDING);
  if (answer.has("error")) throw new Error(answer.get("error_description") ?? "Signing in was refused.");
  if (!pending || pending.state !== answer.get("state")) throw new Error("This sign-in did not begin in this tab.");
  const response = await granted({ grant_type: "authorization_code", code: answer.get("code"), redirect_uri: HOME, code_verifier: pending.verifier });
  if (!response.ok) throw new Error("The sign-in service did not accept the code; please try again.");
  keep({}, await response.json());
  return new URL(pending.returnTo).origin === location.origin ? pending.returnTo : HOME;
}

/** Signs in again after the API refused the token; null when the token is so fresh that a new one would be refused too. */
export function signInAgain() {
  const who = signedIn();
  if (who && isFresh(who)) return null;
  sessionStorage.removeItem(KEY);
  return signIn();
}

/** Signs out, and deletes the text typed in this tab: the next person may be another. */
export async function signOut() {
  leaving = true; // a call that is made meanwhile signs nobody in
  const { refresh } = signedIn() ?? {};
  for (const key of Object.keys(sessionStorage).filter((each) => each.startsWith("autodoctor."))) sessionStorage.removeItem(key);
  // the issuer keeps a session of its own, which would sign the next person in without asking
  const { end_session_endpoint: page, revocation_endpoint: revocation, clientId } = await discovered().catch(() => ({}));
  if (refresh && revocation) await revoked(revocation, { token: refresh, client_id: clientId });
  location.assign(page ? `${page}?${new URLSearchParams({ client_id: clientId, logout_uri: HOME })}` : HOME);
}

/** Has the issuer forget a token (RFC 7009); where it does not answer, the token ends by its time. */
function revoked(endpoint, form) {
  return fetch(endpoint, { method: "POST", body: new URLSearchParams(form), signal: AbortSignal.timeout(REVOKING_MS) }).catch(() => {});
}

/** The home page of a person in these groups. */
export function homeOf(groups) {
  if (groups.includes("admins")) return "/console/admin.html";
  return groups.includes("mechanics") ? "/console/mechanic.html" : "/console/customer.html";
}

/** The signed-in person, if they are in the group; others are sent to the sign-in, or to their own page. */
export function required(group) {
  const who = signedIn();
  if (!who) {
    signIn();
    return null;
  }
  if (!who.groups.includes(group)) {
    location.replace(homeOf(who.groups));
    return null;
  }
  return who;
}

/** What a token says. */
function claimsOf(token) {
  return JSON.parse(new TextDecoder().decode(unbase64url(token.split(".")[1])));
}

function random() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function unbase64url(text) {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
}
