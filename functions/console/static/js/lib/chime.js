/** A sound of two notes, made here: there is no file to load. The reader chooses how loud; 0 is silent. */

const KEPT = "autodoctor.volume";
const NOTES = [
  [880, 0],
  [1175, 0.18],
];
const SECONDS = 0.35;

let audio = null;

/** How loud, 0 to 1. */
export function volume() {
  return Number(localStorage.getItem(KEPT) ?? 0.6);
}

export function setVolume(value) {
  localStorage.setItem(KEPT, String(value));
}

/**
 * Sounds; until the reader has pressed something on the page, browsers let no page sound.
 * @returns {Promise<boolean>} whether it could be heard
 */
export async function chime() {
  const loud = volume();
  if (!loud) return false;
  audio ??= new AudioContext();
  if (audio.state === "suspended") await Promise.race([audio.resume(), new Promise((resolve) => setTimeout(resolve, 200))]);
  if (audio.state !== "running") return false;
  for (const [hertz, after] of NOTES) note(hertz, audio.currentTime + after, loud);
  return true;
}

function note(hertz, at, loud) {
  const tone = new OscillatorNode(audio, { type: "sine", frequency: hertz });
  const gain = new GainNode(audio, { gain: 0 });
  gain.gain.setValueAtTime(0, at);
  gain.gain.linearRampToValueAtTime(loud, at + 0.02);
  gain.gain.exponentialRampToValueAtTime(0.001, at + SECONDS);
  tone.connect(gain).connect(audio.destination);
  tone.start(at);
  tone.stop(at + SECONDS);
}
