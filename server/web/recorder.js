// The session's results, kept only in this page, as the CSV that scoring writes.

import { leader, make } from "./looks.js";

const MOST_ROWS = 120000; // more than an hour of one face at 30 frames a second
const FORGET = 10000;

/** One row per face and analysed frame. */
export class Recorder {
  constructor(labels, uncertainBelow) {
    this.labels = labels;
    this.uncertainBelow = uncertainBelow;
    this.rows = [];
    this.firsts = new Map(); // number of each camera's first frame
    this.forgotten = 0;
  }

  /** Records the faces of one frame; `threshold` is the camera's, null for the model's own. */
  add({ camera, number, wall_s, faces }, threshold) {
    const below = threshold ?? this.uncertainBelow;
    const first = Math.min(this.firsts.get(camera) ?? number, number); // less after the server's restart
    this.firsts.set(camera, first);
    const frame = number - first;
    faces.forEach((face, n) => this.rows.push({ camera, frame, wall_s, face, place: n + 1, below }));
    if (this.rows.length > MOST_ROWS) {
      this.rows.splice(0, FORGET);
      this.forgotten += FORGET;
    }
  }

  /** When the first row was captured, as a Date; its `time_s` is 0. */
  get began() {
    return new Date(1000 * (this.rows[0]?.wall_s ?? 0));
  }

  /** All rows as CSV (RFC 4180) with a header line: the columns of scoring, with their meaning. */
  csv() {
    const head = ["path", "frame", "time_s", "face", "track", "x", "y", "width", "height"];
    head.push("detection_score", "expression", "confidence", "uncertain", "quality", ...this.labels);
    head.push("status", "error", ...this.labels.map((label) => `smooth_${label}`), "smooth_expression");
    const lines = this.rows.map((row) => this.#line(row));
    return [head.join(","), ...lines, ""].join("\n");
  }

  #line({ camera, frame, wall_s, face, place, below }) {
    const { raw, probabilities, quality } = face;
    const best = leader(raw);
    const cells = [text(camera), frame, (wall_s - this.rows[0].wall_s).toFixed(3), place, face.track];
    cells.push(...face.box.map((side) => side.toFixed(1)), face.detection_score.toFixed(4), best);
    cells.push(raw[best].toFixed(4), raw[best] < below || quality !== "ok", quality);
    cells.push(...this.labels.map((label) => raw[label].toFixed(4)), "ok", "");
    cells.push(...this.labels.map((label) => probabilities[label].toFixed(4)), leader(probabilities));
    return cells.join(",");
  }
}

/** A name as a cell that spreadsheets do not treat as a formula; camera names need no other quotes. */
function text(name) {
  return /^[-=+@\t\r]/.test(name) ? `'${name}` : name;
}

/** Makes the browser save a Blob under a name. */
export function save(blob, name) {
  const link = make("a", "");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** "demo-2026-11-22-16-30-05.jpg": local time, valid on every file system. */
export function fileName(camera, extension, date = new Date()) {
  const local = new Date(date.getTime() - 60000 * date.getTimezoneOffset());
  return `${camera}-${local.toISOString().slice(0, 19).replace(/[T:]/g, "-")}.${extension}`;
}
