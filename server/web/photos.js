// Dropped, pasted or chosen photos: scored by the server, shown here with their faces marked.

import { score } from "./api.js";
import { Bars, labelOf, leader, make, percent, reasonOf } from "./looks.js";
import { drawFaces } from "./overlay.js";
import { save } from "./recorder.js";

const MOST_AT_ONCE = 8;
const MOST_ATTEMPTS = 4;
const BUSY = [429, 503, 504];
const SHOWS = { boxes: true, names: true, bars: false, confidence: true };

/** The dialog of scored photos, and all ways to open it. */
export class Photos {
  constructor({ dialog, close, list, title, button, input, drop }, looks) {
    Object.assign(this, { dialog, list, title, drop, looks });
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => list.replaceChildren());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    button.addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      this.show([...input.files]);
      input.value = "";
    });
    addEventListener("paste", (event) => this.show([...(event.clipboardData?.files ?? [])]));
    this.#takeDrops();
  }

  /** Scores images and shows them, newest first. */
  async show(files) {
    if (!files.length) return;
    const taken = files.slice(0, MOST_AT_ONCE);
    this.title.textContent = taken.length > 1 ? "Scored photos" : "Scored photo";
    if (!this.dialog.open) this.dialog.showModal();
    const photos = taken.map((file) => new Photo(file, this.looks));
    this.list.prepend(...photos.map((photo) => photo.element));
    for (const photo of photos) await photo.score(); // one by one: live cameras share the network
  }

  #takeDrops() {
    let depth = 0;
    const shown = (change) => {
      depth = Math.max(0, depth + change);
      this.drop.hidden = depth === 0;
    };
    addEventListener("dragenter", (event) => hasFiles(event) && shown(+1));
    addEventListener("dragleave", (event) => hasFiles(event) && shown(-1));
    addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
    addEventListener("drop", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      shown(-depth);
      this.show([...event.dataTransfer.files]);
    });
  }
}

class Photo {
  constructor(file, looks) {
    this.file = file;
    this.looks = looks;
    this.element = make("article", "photo");
    this.canvas = make("canvas", "photo-image");
    this.canvas.setAttribute("role", "img");
    this.about = make("div", "photo-about");
    this.summary = make("p", "photo-summary", "Scoring\u2026");
    this.summary.setAttribute("role", "status");
    this.about.append(make("h3", "photo-name", file.name), this.summary);
    this.element.append(this.canvas, this.about);
  }

  async score() {
    // The server decides about files of unknown type.
    if (this.file.type && !this.file.type.startsWith("image/")) {
      this.#fail("This file is not an image. Choose a JPEG, PNG or WebP.");
      return;
    }
    try {
      const found = await patiently(() => score(this.file));
      await this.#paint(found);
      this.#tell(found);
    } catch (error) {
      const broken = error.status === 415 || error.code === "bad_image";
      this.#fail(broken ? "This file cannot be read as an image. It may be damaged." : error.message);
    }
  }

  #fail(message) {
    this.canvas.remove();
    this.element.classList.add("failed");
    this.summary.textContent = message;
  }

  /** Draws the photo with its faces, as sharp as this screen can show it. */
  async #paint(found) {
    let bitmap;
    try {
      bitmap = await createImageBitmap(this.file);
    } catch {
      this.canvas.remove(); // a format that the server supports but this browser does not
      return;
    }
    [this.canvas.width, this.canvas.height] = [found.width, found.height]; // gives it its place
    const { clientWidth, clientHeight } = this.canvas;
    const shown = Math.min(clientWidth / found.width, clientHeight / found.height) || 1;
    this.unit = Math.max(1, 1 / shown); // pixels of the photo for one of the page: labels are legible
    const scale = Math.max(1, shown * (devicePixelRatio || 1));
    compose(this.canvas, bitmap, found, this.looks, { scale, unit: scale / shown });
    bitmap.close();
    this.painted = true;
  }

  #tell({ faces, width, height }) {
    const count = faces.length === 1 ? "1 face" : `${faces.length || "No"} faces`;
    this.summary.textContent = `${count} in ${width}\u2009\u00d7\u2009${height} pixels`;
    const names = faces.map((face) => face.expression).join(", ");
    this.canvas.setAttribute("aria-label", `${this.file.name}: ${names || "no face found"}`);
    const list = make("ol", "photo-faces");
    list.append(...faces.map((face, n) => this.#face(face, n + 1)));
    if (this.painted && faces.length) this.about.append(this.#saveButton({ faces, width, height }));
    this.about.append(list);
  }

  #saveButton(found) {
    const button = make("button", "button", "Save annotated image");
    button.type = "button";
    button.addEventListener("click", () => this.#save(found));
    return button;
  }

  /** Saves the photo with its faces at its original size. */
  async #save(found) {
    const name = `${this.file.name.replace(/\.[^.]*$/, "") || "photo"}-faces.jpg`;
    try {
      const bitmap = await createImageBitmap(this.file);
      const canvas = make("canvas", "");
      compose(canvas, bitmap, found, this.looks, { scale: 1, unit: this.unit });
      bitmap.close();
      canvas.toBlob((blob) => save(blob, name), "image/jpeg", 0.92);
    } catch {
      this.summary.textContent = "This file can no longer be read.";
    }
  }

  #face(face, number) {
    const item = make("li", face.uncertain ? "card open uncertain" : "card open");
    const head = make("h4", "card-text");
    const swatch = make("span", `swatch look-${this.looks.index(leader(face.probabilities))}`);
    swatch.setAttribute("aria-hidden", "true");
    head.append(make("span", "card-number", `#${number}`), swatch);
    head.append(make("span", "card-label", labelOf(face)));
    head.append(make("span", "card-confidence", percent(face.confidence)));
    if (face.uncertain) head.append(make("span", "card-uncertain", reasonOf(face)));
    const bars = new Bars(this.looks);
    bars.update(face.probabilities, leader(face.probabilities));
    item.append(head, bars.element);
    return item;
  }
}

/** Draws a photo and its faces; `scale` is the canvas's pixels for one of the photo, `unit` as in overlay.js. */
function compose(canvas, bitmap, { faces, width, height }, looks, { scale, unit }) {
  const size = { width: Math.round(width * scale), height: Math.round(height * scale) };
  Object.assign(canvas, size);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, size.width, size.height);
  const placed = faces.map((face, n) => {
    const box = face.box.map((side) => side * scale);
    return { ...face, box, track: n + 1, name: `#${n + 1}` };
  });
  drawFaces(context, placed, looks, { ...size, unit, shows: SHOWS });
}

/** Retries while the server is busy with its cameras. */
async function patiently(ask) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask();
    } catch (error) {
      if (!BUSY.includes(error.status) || attempt === MOST_ATTEMPTS) throw error;
      await new Promise((done) => setTimeout(done, 1000 * (error.retryAfter ?? 1)));
    }
  }
}

function hasFiles(event) {
  return [...(event.dataTransfer?.types ?? [])].includes("Files");
}
