// The live image: a plain MJPEG stream, each frame paired with the result of the same number.

import { openStream } from "./api.js";
import { readParts } from "./multipart.js";

const BACKOFF_MS = [500, 1000, 2000, 4000, 8000];
const SILENT_MS = 5000; // the server repeats a still image twice a second
const MOST_HELD = 16; // frames waiting for their result
const LONGEST_WAIT_MS = 500;
const MOST_RESULTS = 32;

/**
 * Fires "frame" (detail: { bitmap, result }) for every new image to show; result is null if that frame's has
 * not come, because another frame's boxes would not lie on its faces. The listener owns the bitmap and closes it.
 */
export class StreamView extends EventTarget {
  constructor() {
    super();
    this.address = null;
    this.attempt = 0;
    this.results = new Map();
    this.newest = 0;
    this.held = [];
    setInterval(() => this.#check(), 1000);
  }

  /** Shows a stream; null clears the image and closes the connection. */
  show(address) {
    this.#close();
    this.address = address;
    this.attempt = 0;
    if (address) this.#open();
  }

  /** Reopens the stream, at a new address if it has changed. */
  reopen(address = this.address) {
    if (!this.address) return;
    this.#close();
    this.address = address;
    this.#open();
  }

  /** Takes the result of a frame, which may arrive before or after the frame. */
  addResult(result) {
    if (result.number < this.newest) this.results.clear(); // the server was restarted
    this.newest = result.number;
    this.results.set(result.number, result);
    if (this.results.size > MOST_RESULTS) this.results.delete(this.results.keys().next().value);
    this.#settle();
  }

  #open() {
    const connection = new AbortController();
    this.connection = connection;
    this.shown = 0;
    this.heardAt = performance.now();
    this.#read(connection).then(
      () => this.#broken(connection),
      () => this.#broken(connection),
    );
  }

  async #read(connection) {
    const body = await openStream(this.address, connection.signal);
    for await (const { headers, bytes } of readParts(body)) {
      if (connection !== this.connection) return;
      this.heardAt = performance.now();
      this.attempt = 0;
      const number = Number(headers.get("x-frame"));
      if (number && number !== this.taken) this.#decode(number, bytes);
    }
  }

  /** Decodes the newest image only, one at a time. */
  async #decode(number, bytes) {
    this.taken = number;
    this.next = { number, bytes };
    if (this.decoding) return;
    this.decoding = true;
    while (this.next) {
      const { connection, next } = this;
      this.next = null;
      try {
        const bitmap = await createImageBitmap(new Blob([next.bytes], { type: "image/jpeg" }));
        if (connection !== this.connection) bitmap.close();
        else this.held.push({ number: next.number, bitmap, at: performance.now() });
      } catch {
        continue; // a damaged image costs only this frame
      }
      this.#settle();
    }
    this.decoding = false;
  }

  /** Shows the newest frame with a result, or the newest of all if that takes too long. */
  #settle() {
    clearTimeout(this.settleTimer);
    let at = this.held.findLastIndex(({ number }) => this.results.has(number));
    const [oldest] = this.held;
    if (at < 0 && oldest) {
      const left = LONGEST_WAIT_MS - (performance.now() - oldest.at);
      if (left > 0 && this.held.length <= MOST_HELD) {
        this.settleTimer = setTimeout(() => this.#settle(), left);
        return;
      }
      at = this.held.length - 1;
    }
    if (at < 0) return;
    const frame = this.held[at];
    for (const { bitmap } of this.held.splice(0, at + 1).slice(0, -1)) bitmap.close();
    this.#tell(frame);
  }

  #tell({ number, bitmap }) {
    const result = this.results.get(number) ?? null;
    this.dispatchEvent(new CustomEvent("frame", { detail: { bitmap, result } }));
  }

  #broken(connection) {
    if (connection !== this.connection) return;
    const wait = BACKOFF_MS[Math.min(this.attempt, BACKOFF_MS.length - 1)];
    this.attempt += 1;
    this.timer = setTimeout(() => this.reopen(), wait);
  }

  #close() {
    clearTimeout(this.timer);
    clearTimeout(this.settleTimer);
    this.connection?.abort();
    this.connection = this.next = null;
    this.taken = 0;
    for (const { bitmap } of this.held) bitmap.close();
    this.held = [];
    this.results.clear();
    this.newest = 0;
    this.newestAt = -Infinity;
  }

  #check() {
    const silent = performance.now() - this.heardAt > SILENT_MS;
    if (this.connection && silent && !document.hidden) this.reopen();
  }
}
