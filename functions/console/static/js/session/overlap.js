/** How long both were in the room, from the intervals of a session's evidence: until both have written, it counts nothing. */

/**
 * @param {Array<{role: string, source: string, from: string, until: string|null}>} intervals
 * @param {number} now in ms; the end of those that are still open
 * @returns {number} seconds
 */
export function overlap(intervals, now) {
  const of = (role) => intervals.filter((each) => each.role === role && each.source === "room").map(({ from, until }) => [Date.parse(from), until ? Date.parse(until) : now]);
  let together = 0;
  for (const [from, until] of of("customer")) for (const [start, end] of of("mechanic")) together += Math.max(0, Math.min(until, end) - Math.max(from, start));
  return together / 1000;
}
