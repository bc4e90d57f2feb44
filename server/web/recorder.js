// The session's events, kept only in this page, for CSV export.

import { make } from "./looks.js";

const MOST_ROWS = 120000; // more than an hour of one face at 30 frames a second
const FORGET = 10000;

/** One row per face and analysed frame. */
export class Recorder {
  constructor(labels) {
    this.labels = labels;
    this.rows = [];
    this.forgotten = 0;
  }

  /** Records the faces of one frame. */
  add({ camera, number, wall_s, faces }) {
    for (const face of faces) this.rows.push({ camera, number, wall_s, face });
    if (this.rows.length > MOST_ROWS) {
      this.rows.splice(0, FORGET);
      this.forgotten += FORGET;
    }
  }

  /** All rows as CSV (RFC 4180), with a header line. */
  csv() {
    const head = ["time", "camera", "frame", "track", "x", "y", "width", "height"];
    head.push("detection_score", "expression", "confidence", "uncertain", ...this.labels);
    head.push(...this.labels.map((label) => `raw_${label}`));
    const lines = this.rows.map((row) => this.#line(row));
    return [head.join(","), ...lines, ""].join("\r\n");
  }

  #line({ camera, number, wall_s, face }) {
    const time = new Date(1000 * wall_s).toISOString();
    const cells = [time, text(camera), number, face.track, ...face.box.map((side) => side.toFixed(1))];
    cells.push(face.detection_score.toFixed(3), text(face.expression), face.confidence.toFixed(4));
    cells.push(face.uncertain ? 1 : 0);
    for (const values of [face.probabilities, face.raw]) {
      cells.push(...this.labels.map((label) => values[label].toFixed(4)));
    }
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
