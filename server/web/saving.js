// What the visitor has the browser save: the image that is shown, and the session's results.

import { stage, toast } from "./parts.js";
import { fileName, save } from "./recorder.js";

/** Saves the image as it is shown, with what is drawn over it, at the camera's own size. */
export function saveImage(camera) {
  if (!stage.bitmap) {
    toast.say("There is no image to save.");
    return;
  }
  const saved = (blob) => {
    save(blob, fileName(camera, "jpg"));
    toast.say("Image saved by your browser.");
  };
  stage.picture().toBlob(saved, "image/jpeg", 0.92);
}

/** Saves what was found in this session as CSV. */
export function exportEvents(recorder) {
  save(new Blob([recorder.csv()], { type: "text/csv" }), fileName("faces", "csv"));
  const dropped = recorder.forgotten ? `; the ${recorder.forgotten} oldest were dropped` : "";
  toast.say(`${recorder.rows.length} rows exported${dropped}.`);
}
