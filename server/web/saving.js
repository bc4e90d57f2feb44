// Saves files through the browser: the displayed image, and the session's results.

import { stage, toast } from "./parts.js";
import { fileName, save } from "./recorder.js";

/** Saves the displayed image with its overlay, at the camera's resolution. */
export function saveImage(camera) {
  if (!stage.bitmap) {
    toast.say("There is no image to save.");
    return;
  }
  const saved = (blob) => {
    save(blob, fileName(camera, "jpg"));
    toast.say("Image saved by your browser.");
  };
  stage.composed().toBlob(saved, "image/jpeg", 0.92);
}

/** Saves this session's results as CSV. */
export function exportEvents(recorder) {
  save(new Blob([recorder.csv()], { type: "text/csv" }), fileName("faces", "csv", recorder.began));
  const dropped = recorder.forgotten ? `; the ${recorder.forgotten} oldest were dropped` : "";
  toast.say(`${recorder.rows.length} rows exported${dropped}.`);
}
