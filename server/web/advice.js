// The message and the offers for a camera, from its state alone. Offers: "visitor" is this browser's camera,
// "demo" the demo.

import { saying } from "./status.js";

export const OFF = ["missing", "busy", "forbidden", "ended"];
const WAITING = ["stalled", "reconnecting"];

/** The notice about a camera: { text, offers, calm }; calm if nothing is wrong. */
export function adviceFor(camera, cameras, visitor) {
  const own = camera.kind === "browser";
  const has = (kind) => cameras.some((other) => other.kind === kind && other !== camera);
  const offers = has("browser") && visitor.state === "off" ? ["visitor"] : [];
  if (own && visitor.reason) return { text: visitor.reason, offers: [] };
  if (camera.controls.paused) return { text: "", offers: [] }; // the badge says so, and the layout stays
  if (own && camera.status === "missing") return { text: "", offers: [] };
  if (OFF.includes(camera.status)) {
    const text = camera.reason || "This camera cannot be used";
    return { text, offers: has("demo") ? [...offers, "demo"] : offers };
  }
  if (WAITING.includes(camera.status)) {
    return { text: camera.reason || "The camera sends no images", offers: [] };
  }
  if (camera.recording_problem) {
    return { text: `The recording ended: ${camera.recording_problem}`, offers: [] };
  }
  const real = cameras.some(({ kind }) => !["demo", "browser"].includes(kind));
  if (camera.kind === "demo" && !real) {
    return { text: "There is no webcam on the server's machine; this is a demo", offers, calm: true };
  }
  return { text: "", offers: [] };
}

/** The cover over the image: { title, text, offer }, or null if the image is visible. */
export function coverFor(camera, visitor, { hasImage }) {
  if (camera.controls.privacy === "no_picture") {
    return { title: "No image", text: "The server sends only the results of this camera." };
  }
  if (camera.controls.paused && !hasImage) {
    return { title: "Paused", text: "There is no image until the camera resumes." };
  }
  if (camera.kind !== "browser") {
    const broken = OFF.includes(camera.status) || (WAITING.includes(camera.status) && !hasImage);
    return broken ? { title: saying(camera) } : null; // the notice says why
  }
  if (visitor.state === "asking") {
    return { title: "Your own camera", text: "Allow the camera when the browser asks." };
  }
  if (visitor.state === "off" && camera.status === "missing") {
    const kept = camera.controls.recording ? "are recorded there" : "are not stored";
    const text = `Its images go only to this server and ${kept}.`;
    return { title: "Your own camera", text, offer: "visitor" };
  }
  return null;
}
