// Photos dropped, pasted or chosen: scored by the server, shown with their faces marked.

import { annotate, score } from "./api.js";
import { Bars, make, percent } from "./looks.js";

const MOST_AT_ONCE = 8;
const MOST_ATTEMPTS = 4;
const BUSY = [429, 503, 504];

/** The dialog of scored photos, and every way into it. */
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
    addEventListener("paste", (event) => this.show(images(event.clipboardData)));
    this.#takeDrops();
  }

  /** Scores images and shows them, the newest first. */
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
      this.show(images(event.dataTransfer));
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
    try {
      const found = await patiently(() => score(this.file));
      await this.#paint(await patiently(() => annotate(this.file)));
      this.#tell(found);
    } catch (error) {
      this.canvas.remove();
      this.element.classList.add("failed");
      this.summary.textContent = error.message;
    }
  }

  async #paint(blob) {
    const bitmap = await createImageBitmap(blob);
    [this.canvas.width, this.canvas.height] = [bitmap.width, bitmap.height];
    this.canvas.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
  }

  #tell({ faces, width, height }) {
    const count = faces.length === 1 ? "1 face" : `${faces.length || "No"} faces`;
    this.summary.textContent = `${count} in ${width}\u2009\u00d7\u2009${height} pixels`;
    const names = faces.map((face) => face.expression).join(", ");
    this.canvas.setAttribute("aria-label", `${this.file.name}: ${names || "no face found"}`);
    const list = make("ol", "photo-faces");
    list.append(...faces.map((face) => this.#face(face)));
    this.about.append(list);
  }

  #face(face) {
    const item = make("li", face.uncertain ? "card uncertain" : "card");
    const head = make("h4", "card-head");
    const swatch = make("span", `swatch look-${this.looks.index(face.expression)}`);
    swatch.setAttribute("aria-hidden", "true");
    head.append(swatch, make("span", "card-label", face.expression));
    head.append(make("span", "card-confidence", percent(face.confidence)));
    if (face.uncertain) head.append(make("span", "card-uncertain", "uncertain"));
    const bars = new Bars(this.looks);
    bars.update(face.probabilities, face.expression);
    item.append(head, bars.element);
    return item;
  }
}

/** Tries again when the server is busy with its cameras. */
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

/** The images among what was dropped or pasted; files of unknown type are left to the server's judgement. */
function images(transfer) {
  const files = [...(transfer?.files ?? [])];
  return files.filter(({ type }) => !type || type.startsWith("image/"));
}
