// The page's parts, each tied to its elements in index.html.

import { anchor, Controls } from "./controls.js";
import { Feed } from "./feed.js";
import { Photos } from "./photos.js";
import { Stage } from "./stage.js";
import { StreamView } from "./stream_view.js";
import { Notice, StatusLine, Toast, Veil } from "./status.js";
import { Switcher } from "./switcher.js";
import { Visitor } from "./visitor.js";
import { Wall } from "./wall.js";

/** The element with an id. */
export const $ = (id) => document.getElementById(id);

export const streamView = new StreamView();
export const stage = new Stage($("image"));
export const wall = new Wall($("wall"));
export const feed = new Feed();
export const switcher = new Switcher($("switcher"));
export const visitor = new Visitor();
export const notice = new Notice($("notice"));
export const toast = new Toast($("toast"));

export const veil = new Veil({
  veil: $("veil"),
  title: $("veil-title"),
  text: $("veil-text"),
  action: $("veil-action"),
});

export const statusLine = new StatusLine({
  state: $("state"),
  text: $("state-text"),
  figures: $("figures"),
  stages: $("stages"),
});

export const controls = new Controls({
  mirror: $("mirror"),
  pause: $("pause"),
  pauseIcon: $("pause").querySelector("use"),
  pauseText: $("pause-text"),
  record: $("record"),
  recordText: $("record-text"),
  rotate: $("rotate"),
  flip: $("flip"),
  privacy: $("privacy"),
  smoothing: $("smoothing"),
  smoothingValue: $("smoothing-value"),
  threshold: $("threshold"),
  thresholdValue: $("threshold-value"),
  thresholdReset: $("threshold-reset"),
});

anchor($("tuning"), $("tune"));

/** The dialog of scored photos, once the labels are known. */
export function makePhotos(looks) {
  const elements = {
    dialog: $("photos"),
    close: $("photos-close"),
    list: $("photos-list"),
    title: $("photos-title"),
    button: $("choose-photo"),
    input: $("photo-file"),
    drop: $("drop"),
  };
  return new Photos(elements, looks);
}
