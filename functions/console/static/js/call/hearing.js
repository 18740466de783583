/**
 * Tells the API when packets of the other came: where both pages say so, they were together, whatever else is lost.
 * It also says that it hears nothing, as it joins and while that lasts: then not all that the medium says is sure.
 */

import { post } from "../api/api.js";

const SECOND_MS = 1000;
const SILENCE_MS = 2000; // without a packet, which ends a window
const WINDOW_MS = 15_000; // the API takes no longer ones

/**
 * Looks every second while the call lasts.
 * @param {string} sessionId
 * @param {function(): Promise<number>} received packets of the other so far
 * @returns {function(boolean): void} ends it, after a last report, unless the session is over and takes no more
 */
export function hearing(sessionId, received) {
  let before = null;
  let window = null; // {from, until, packets}
  let silentAt = 0; // when it last said that it hears nothing

  const send = ({ from, until, packets }) => {
    const body = { from: new Date(from).toISOString(), until: new Date(until).toISOString(), now: new Date().toISOString(), packets };
    post(`/api/sessions/${sessionId}/call/report`, body).catch(() => {}); // the next one may get through
  };
  const report = () => {
    const told = window;
    window = null;
    if (told?.until > told?.from) send(told);
  };
  const silent = (now) => {
    if (now - silentAt < WINDOW_MS) return;
    silentAt = now;
    send({ from: now - SECOND_MS, until: now, packets: 0 });
  };
  const look = async () => {
    const now = Date.now();
    const packets = await received();
    const came = before === null ? 0 : packets - before;
    before = packets;
    if (came <= 0) {
      if (!window) silent(now);
      else if (now - window.until >= SILENCE_MS) report();
      return;
    }
    window ??= { from: now - SECOND_MS, until: now, packets: 0 };
    window.until = Math.min(now, window.from + WINDOW_MS);
    window.packets += came;
    if (now - window.from >= WINDOW_MS - SECOND_MS) report();
  };
  const timer = setInterval(look, SECOND_MS);
  return (isOver) => {
    clearInterval(timer);
    if (!isOver) report();
  };
}
