/** Pushes come in bursts, and several parts of a page ask for the same: one look serves them all. */

import { get } from "./api.js";

const TOGETHER_MS = 150; // pushes of one moment

/** A function that collects what it is called with for a moment, and then has `work` do with all of it at once. */
export function burst(work) {
  let gathered = null;
  return (item) => {
    if (gathered) {
      gathered.push(item);
      return;
    }
    gathered = [item];
    setTimeout(() => {
      const all = gathered;
      gathered = null;
      work(all);
    }, TOGETHER_MS);
  };
}

const asked = new Map(); // the look that is under way, by role

/** The active session of the reader in this role; who asks while another asks, gets the same answer. */
export function activeSession(role) {
  if (!asked.has(role)) asked.set(role, get(`/api/${role}/active-session`).finally(() => asked.delete(role)));
  return asked.get(role);
}
