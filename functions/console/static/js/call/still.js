/** A still of a moving picture, as a file that can be sent. */

const QUALITY = 0.92;

/**
 * @param {HTMLVideoElement} video
 * @returns {Promise<File|null>} null while it shows nothing
 */
export async function still(video) {
  const { videoWidth: width, videoHeight: height } = video;
  if (!width) return null;
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  const moment = new Date().toTimeString().slice(0, 8).replaceAll(":", "-");
  return blob && new File([blob], `Still ${moment}.jpg`, { type: "image/jpeg" });
}
