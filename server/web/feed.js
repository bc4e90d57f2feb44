// The stream of results: server-sent events, monitored for silence and reopened automatically.

const BACKOFF_MS = [500, 1000, 2000, 4000, 8000];
const STALE_MS = 4000; // a live camera reports a frame at least once a second
const OPENS_WITHIN_MS = 8000;

/**
 * Fires "analysis" and "camera" (detail: the message), "open", and "lost" (detail: { reason,
 * retryMs, attempt }, reason "gone" or "stale") whenever the connection was abandoned.
 */
export class Feed extends EventTarget {
  constructor() {
    super();
    this.source = null;
    this.camera = null;
    this.live = false;
    this.attempt = 0;
    this.timer = 0;
    this.heardAt = 0;
    setInterval(() => this.#check(), 1000);
    addEventListener("online", () => this.retry());
  }

  /** Switches to a camera. */
  follow(camera) {
    this.camera = camera;
    this.live = false;
    this.attempt = 0;
    this.#open();
  }

  /** Retries at once instead of waiting for the next attempt. */
  retry() {
    if (this.camera && !this.source) this.#open();
  }

  /** Abandons the connection, as after silence, and retries a little later. */
  giveUp(reason) {
    this.source?.close();
    this.source = null;
    clearTimeout(this.timer);
    const retryMs = BACKOFF_MS[Math.min(this.attempt, BACKOFF_MS.length - 1)];
    this.attempt += 1;
    this.timer = setTimeout(() => this.#open(), retryMs);
    this.#tell("lost", { reason, retryMs, attempt: this.attempt });
  }

  #open() {
    clearTimeout(this.timer);
    this.source?.close();
    const source = new EventSource(`api/events?camera=${encodeURIComponent(this.camera)}`);
    this.source = source;
    this.heardAt = this.openedAt = performance.now();
    source.addEventListener("open", () => this.#heard());
    source.addEventListener("error", () => {
      if (source === this.source) this.giveUp("gone");
    });
    source.addEventListener("analysis", (event) => {
      this.#heard();
      this.#tell("analysis", JSON.parse(event.data));
    });
    source.addEventListener("camera", (event) => {
      this.#heard();
      const camera = JSON.parse(event.data);
      this.live = camera.status === "live" && !camera.controls.paused;
      this.#tell("camera", camera);
    });
  }

  #heard() {
    this.heardAt = performance.now();
    if (this.source?.reported) return;
    this.source.reported = true;
    this.attempt = 0;
    this.#tell("open");
  }

  #check() {
    if (!this.source) return;
    const silent = performance.now() - this.heardAt;
    if (this.source.readyState === EventSource.CONNECTING) {
      if (silent > OPENS_WITHIN_MS) this.giveUp("gone");
    } else if (this.live && silent > STALE_MS) {
      this.giveUp("stale");
    }
  }

  #tell(type, detail = null) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
