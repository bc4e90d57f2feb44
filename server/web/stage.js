// The canvas that shows the live image and draws over it, at the screen's resolution.

import { drawFaces } from "./overlay.js";

const KEY = "fer-shows";
const SHOWS = { boxes: true, names: true, bars: false, confidence: true };

/** Fires "shown" for the first frame since `clear`, "drawn" after each and "hover" (detail: a track or null). */
export class Stage extends EventTarget {
  constructor(canvas) {
    super();
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.looks = null;
    this.bitmap = this.result = null;
    this.mirrored = false;
    this.lit = null;
    this.shows = { ...SHOWS, ...remembered() };
    new ResizeObserver(() => this.draw()).observe(canvas);
    canvas.addEventListener("pointermove", (event) => this.#hover(event));
    canvas.addEventListener("pointerleave", () => this.#tell("hover", null));
  }

  /** Width over height of the frame; 0 without one. */
  get aspect() {
    return this.bitmap ? this.bitmap.width / this.bitmap.height : 0;
  }

  /** Shows a frame and keeps it until the next one. */
  show(bitmap, result) {
    const first = !this.bitmap;
    const resized = first || this.aspect !== bitmap.width / bitmap.height;
    this.bitmap?.close();
    Object.assign(this, { bitmap, result });
    if (resized) this.#tell("shown");
    this.draw();
    this.#tell("drawn");
  }

  /** Clears the canvas. */
  clear() {
    this.bitmap?.close();
    this.bitmap = this.result = null;
    this.draw();
  }

  /** Mirrors the image; text stays readable. */
  mirror(mirrored) {
    if (this.mirrored === mirrored) return;
    this.mirrored = mirrored;
    this.draw();
  }

  /** Highlights a face; null for none. */
  light(track) {
    if (this.lit === track) return;
    this.lit = track;
    this.draw();
  }

  /** Turns parts of the overlay on or off; stored in this browser. */
  choose(name, shown) {
    this.shows[name] = shown;
    try {
      localStorage.setItem(KEY, JSON.stringify(this.shows));
    } catch {
      // Without storage the choice lasts until the page is closed.
    }
    this.draw();
  }

  /** Redraws the frame and its faces. */
  draw() {
    const ratio = devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.canvas;
    const [width, height] = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      [this.canvas.width, this.canvas.height] = [width, height];
    }
    this.context.fillStyle = "#0b0d10";
    this.context.fillRect(0, 0, width, height);
    if (this.bitmap) paint(this.context, this, { width, height, unit: ratio });
  }

  /** The displayed image at the camera's resolution, as a canvas. */
  composed() {
    const { width, height } = this.bitmap;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    paint(canvas.getContext("2d"), this, { width, height, unit: Math.max(1, height / 480) });
    return canvas;
  }

  /** Draws a face of the displayed frame into a square canvas; false if it is not there. */
  thumbnail(track, canvas) {
    const face = this.result?.faces.find((one) => one.track === track);
    if (!face || !this.bitmap) return false;
    const scale = this.bitmap.width / this.result.width;
    const [x, y, wide, high] = face.box.map((side) => side * scale);
    const side = 1.15 * Math.max(wide, high);
    const context = canvas.getContext("2d");
    context.setTransform(this.mirrored ? -1 : 1, 0, 0, 1, this.mirrored ? canvas.width : 0, 0);
    const [left, top] = [x + wide / 2 - side / 2, y + high / 2 - side / 2];
    context.drawImage(this.bitmap, left, top, side, side, 0, 0, canvas.width, canvas.height);
    return true;
  }

  #hover({ offsetX, offsetY }) {
    const ratio = devicePixelRatio || 1;
    const area = { width: this.canvas.width, height: this.canvas.height };
    const [x, y] = [offsetX * ratio, offsetY * ratio];
    const inside = ({ box: [left, top, wide, high] }) =>
      x >= left && x <= left + wide && y >= top && y <= top + high;
    this.#tell("hover", this.bitmap ? (placed(this, area).find(inside)?.track ?? null) : null);
  }

  #tell(type, detail = null) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function paint(context, stage, { width, height, unit }) {
  const { bitmap, mirrored, looks, shows, lit } = stage;
  const at = fitted(bitmap, { width, height });
  context.save();
  if (mirrored) context.setTransform(-1, 0, 0, 1, width, 0);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, at.left, at.top, at.width, at.height);
  context.restore();
  const faces = placed(stage, { width, height });
  if (looks) drawFaces(context, faces, looks, { unit, width, height, shows, lit });
}

/** The position of an image fitted into an area. */
function fitted(bitmap, { width, height }) {
  const scale = Math.min(width / bitmap.width, height / bitmap.height);
  const [wide, high] = [bitmap.width * scale, bitmap.height * scale];
  return { left: (width - wide) / 2, top: (height - high) / 2, width: wide, height: high };
}

/** The faces with their boxes in the area's coordinates, and their names. */
function placed({ bitmap, result, mirrored }, area) {
  if (!result) return [];
  const at = fitted(bitmap, area);
  const scale = at.width / result.width;
  return result.faces.map((face) => {
    const [x, y, wide, high] = face.box.map((side) => side * scale);
    const left = at.left + (mirrored ? at.width - x - wide : x);
    return { ...face, name: `#${face.track}`, box: [left, at.top + y, wide, high] };
  });
}

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}
