/** Camera and microphone: opening them, and why one cannot be opened, in words that say what to do. */

const PICTURE = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 24, max: 30 } };
const NAMES = { video: "camera", audio: "microphone" };

/** @typedef {{track: MediaStreamTrack|null, problem: string|null}} Opened */

/**
 * Opens both at once, which asks once; where that fails, each by itself.
 * @returns {Promise<{audio: Opened, video: Opened}>}
 */
export async function openedBoth() {
  if (!navigator.mediaDevices) return { audio: nothing("audio", { name: "SecurityError" }), video: nothing("video", { name: "SecurityError" }) };
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: PICTURE });
    return { audio: { track: stream.getAudioTracks()[0], problem: null }, video: { track: stream.getVideoTracks()[0], problem: null } };
  } catch (problem) {
    // asked again at once, a reader who has just said no would be asked twice
    const refused = problem.name === "NotAllowedError" ? await Promise.all(["audio", "video"].map((kind) => isRefused(kind))) : [false, false];
    const [audio, video] = refused.every((each) => each) || (problem.name === "NotAllowedError" && refused.every((each) => !each)) ? [nothing("audio", problem), nothing("video", problem)] : [refused[0] ? nothing("audio", problem) : await opened("audio"), refused[1] ? nothing("video", problem) : await opened("video")];
    return { audio, video };
  }
}

/**
 * Opens one.
 * @param {"audio"|"video"} kind
 * @param {Object} [which] `deviceId`, or `facingMode`
 * @returns {Promise<Opened>}
 */
export async function opened(kind, which = {}) {
  const wanted = kind === "video" ? { ...PICTURE, ...which } : { ...which };
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ [kind]: Object.keys(wanted).length ? wanted : true });
    return { track: stream.getTracks()[0], problem: null };
  } catch (problem) {
    return nothing(kind, problem);
  }
}

/** Whether there is more than one camera to choose from. */
export async function canFlip() {
  const found = await navigator.mediaDevices.enumerateDevices();
  return found.filter(({ kind }) => kind === "videoinput").length > 1;
}

/** The camera after this one; on a phone, the one at the other side. */
export async function flipped(track) {
  const { facingMode, deviceId } = track.getSettings();
  track.stop(); // phones have one open at a time
  if (facingMode) return opened("video", { facingMode: facingMode === "user" ? "environment" : "user" });
  const cameras = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
  const next = cameras[(cameras.findIndex((each) => each.deviceId === deviceId) + 1) % cameras.length];
  return opened("video", { deviceId: { exact: next.deviceId } });
}

/** A track without a sound: whoever sends nothing at all counts as gone. */
export function silence() {
  const context = new AudioContext();
  const track = context.createMediaStreamDestination().stream.getAudioTracks()[0];
  context.resume();
  return track;
}

async function isRefused(kind) {
  try {
    return (await navigator.permissions.query({ name: NAMES[kind] })).state === "denied";
  } catch {
    return false; // Firefox does not know these names
  }
}

function nothing(kind, { name, message }) {
  return { track: null, problem: why(kind, name, message) };
}

function why(kind, name, message = "") {
  const device = NAMES[kind];
  switch (name) {
    case "NotAllowedError":
      return /system/i.test(message)
        ? `Your computer does not let this browser use the ${device}. Allow it in the system's privacy settings, then try again.`
        : `This page may not use your ${device}. Press the sign beside the address, allow the ${device}, then try again.`;
    case "NotFoundError":
    case "OverconstrainedError":
      return `No ${device} was found. Plug one in and try again, or join without it.`;
    case "NotReadableError":
    case "AbortError":
      return `Another program is using your ${device}. Close that program, then try again.`;
    default:
      return `This browser cannot use a ${device} here. Try another browser, or join without it.`;
  }
}
