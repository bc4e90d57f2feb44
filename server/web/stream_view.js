// The live image: an <img> on an endless MJPEG answer, replaced when it breaks or stands still while
// results go on. The old image stays until the new one has its first frame.

const BACKOFF_MS = [500, 1000, 2000, 4000, 8000];
const STILL_MS = 5000;
const LONGEST_STILL_MS = 60000; // a video of a still scene is not reopened more often than that
const ENOUGH_RESULTS = 5;
const [SAMPLE_W, SAMPLE_H] = [32, 24];

/** Fires "shown" for the first frame of a connection and "reopened" (detail: reason) when one is replaced. */
export class StreamView extends EventTarget {
  constructor(frame) {
    super();
    this.frame = frame;
    this.image = null;
    this.next = null;
    this.address = null;
    this.attempt = 0;
    this.stillMs = STILL_MS;
    this.#forgetSample();
    const sample = document.createElement("canvas");
    [sample.width, sample.height] = [SAMPLE_W, SAMPLE_H];
    this.sampler = sample.getContext("2d", { willReadFrequently: true });
    setInterval(() => this.#check(), 1000);
  }

  /** Shows a stream; null shows nothing and closes the connection. */
  show(address, { alt = "" } = {}) {
    this.address = address;
    this.alt = alt;
    this.attempt = 0;
    this.stillMs = STILL_MS;
    if (address) this.#open();
    else this.#close();
  }

  /** Opens the stream again, at another address if that has changed. */
  reopen(reason, address = this.address) {
    if (!this.address) return;
    this.address = address;
    this.#open();
    this.dispatchEvent(new CustomEvent("reopened", { detail: reason }));
  }

  /** Counts a result, so that an image that stands still can be told from a camera that does. */
  noteResult() {
    this.results += 1;
  }

  /** Width over height of what is shown, 0 before the first frame. */
  get aspect() {
    const image = this.image;
    return image?.naturalHeight ? image.naturalWidth / image.naturalHeight : 0;
  }

  #open() {
    clearTimeout(this.timer);
    drop(this.next);
    const image = document.createElement("img");
    this.next = image;
    image.alt = this.alt;
    image.draggable = false;
    image.addEventListener("load", () => this.#loaded(image));
    image.addEventListener("error", () => this.#failed(image));
    image.src = `${this.address}${this.address.includes("?") ? "&" : "?"}t=${Date.now()}`;
    // A multipart image is painted from its first part on, wherever it is; it waits behind the old one.
    this.frame.prepend(image);
    this.#forgetSample();
  }

  #loaded(image) {
    if (image !== this.next) return;
    drop(this.image);
    this.image = image;
    this.next = null;
    this.attempt = 0;
    this.dispatchEvent(new Event("shown"));
  }

  #failed(image) {
    if (image !== this.next && image !== this.image) return;
    const wait = BACKOFF_MS[Math.min(this.attempt, BACKOFF_MS.length - 1)];
    this.attempt += 1;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.address && this.reopen("broken"), wait);
  }

  #close() {
    clearTimeout(this.timer);
    drop(this.next);
    drop(this.image);
    this.image = this.next = null;
    this.#forgetSample();
  }

  #check() {
    if (!this.image || this.next || document.hidden) return;
    const sample = this.#sample();
    const now = performance.now();
    if (sample !== this.lastSample) {
      if (this.lastSample !== null) this.stillMs = STILL_MS;
      this.lastSample = sample;
      this.changedAt = now;
      this.results = 0;
    } else if (now - this.changedAt > this.stillMs && this.results >= ENOUGH_RESULTS) {
      this.stillMs = Math.min(2 * this.stillMs, LONGEST_STILL_MS);
      this.reopen("still");
    }
  }

  #sample() {
    if (!this.image.naturalWidth) return null;
    this.sampler.drawImage(this.image, 0, 0, SAMPLE_W, SAMPLE_H);
    return this.sampler.getImageData(0, 0, SAMPLE_W, SAMPLE_H).data.join();
  }

  #forgetSample() {
    this.lastSample = null;
    this.changedAt = performance.now();
    this.results = 0;
  }
}

/** Takes an <img> off the page and closes its connection, which outlives the element otherwise. */
function drop(image) {
  if (!image) return;
  image.removeAttribute("src");
  image.remove();
}
