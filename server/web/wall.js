// All cameras side by side, as annotated snapshots: a stream for each would use up the browser's connections.

import { OFF } from "./advice.js";
import { sentence, snapshotAddress } from "./api.js";
import { make } from "./looks.js";
import { saying } from "./status.js";

const PAUSE_MS = 120; // between two images of a camera
const RETRY_MS = 2000;

/** Fires "pick" (detail: the camera's name). */
export class Wall extends EventTarget {
  constructor(element) {
    super();
    this.element = element;
    this.tiles = new Map();
  }

  get shown() {
    return !this.element.hidden;
  }

  /** Shows or hides the wall; while hidden, it sends no requests. */
  toggle(shown, cameras) {
    this.element.hidden = !shown;
    for (const tile of this.tiles.values()) tile.remove();
    this.tiles.clear();
    if (shown) this.follow(cameras);
  }

  /** Updates names and states. */
  follow(cameras) {
    if (!this.shown) return;
    for (const camera of cameras) {
      if (!this.tiles.has(camera.name)) {
        const tile = new Tile(() => this.dispatchEvent(new CustomEvent("pick", { detail: camera.name })));
        this.tiles.set(camera.name, tile);
        this.element.append(tile.element);
      }
      this.tiles.get(camera.name).show(camera);
    }
  }
}

class Tile {
  constructor(pick) {
    this.element = make("button", "tile");
    this.element.type = "button";
    this.element.addEventListener("click", pick);
    this.image = make("img", "");
    this.image.alt = "";
    this.image.addEventListener("load", () => this.#later(PAUSE_MS));
    this.image.addEventListener("error", () => this.#later(RETRY_MS));
    this.reason = make("span", "tile-reason");
    this.name = make("span", "tile-name");
    this.status = make("span", "tile-status");
    this.dot = make("span", "dot");
    this.dot.setAttribute("aria-hidden", "true");
    const line = make("span", "tile-line");
    line.append(this.dot, this.name, this.status);
    this.element.append(this.image, this.reason, line);
  }

  show(camera) {
    const resting = !this.camera || this.image.hidden;
    this.camera = camera;
    // A camera that is off sends an image of the reason, too small to read in a tile.
    const off = OFF.includes(camera.status);
    this.image.hidden = off;
    this.reason.hidden = !off;
    const reason = off ? sentence(camera.reason || "This camera cannot be used") : "";
    if (this.reason.textContent !== reason) this.reason.textContent = reason;
    this.name.textContent = this.name.title = camera.name;
    this.status.textContent = saying(camera);
    this.element.querySelector(".tile-line").dataset.status = camera.controls.paused ? "paused" : camera.status;
    if (resting && !off) this.#ask();
  }

  remove() {
    clearTimeout(this.timer);
    this.camera = null;
    this.image.removeAttribute("src");
    this.element.remove();
  }

  #later(ms) {
    clearTimeout(this.timer);
    if (this.camera && !this.image.hidden) this.timer = setTimeout(() => this.#ask(), document.hidden ? RETRY_MS : ms);
  }

  #ask() {
    this.image.src = snapshotAddress(this.camera.snapshot);
  }
}
