/**
 * What carries sound and picture. One interface, and a driver for each medium; config.json says which one there is.
 *
 * @typedef {EventTarget} Medium
 * @property {function(Object, MediaStreamTrack[]): Promise<void>} join enters the meeting that POST …/call answered, and
 *   sends these tracks; rejected where the medium refuses
 * @property {function(string, MediaStreamTrack|null): Promise<void>} send sends another track of a kind, or none
 * @property {function(): Promise<number>} received packets of the other so far
 * @property {function(): void} leave
 *
 * Events: `state` (detail: `connecting`, `connected`, `lost` while it tries again, or `{ended: why}` with `over`,
 * `elsewhere`, `unreachable`), `other` (detail: {here, video}), `stream` (detail: the other's MediaStream).
 */

import { config } from "../api/auth.js";

const DRIVERS = { local: () => import("./local.js"), chime: () => import("./chime.js") };

/** Whether there is a medium here. */
export async function hasMedium() {
  return (await config()).medium in DRIVERS;
}

/** A new connection to it, not joined yet. */
export async function newMedium() {
  const { medium } = await config();
  return new (await DRIVERS[medium]()).Driver();
}
