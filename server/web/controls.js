// The buttons that change a camera on the server, for everybody who watches it.

import { control } from "./api.js";
import { percent } from "./looks.js";

/** Fires "changed" (detail: the camera as it then is) and "refused" (detail: the message). */
export class Controls extends EventTarget {
  constructor(elements) {
    super();
    Object.assign(this, elements);
    this.camera = null;
    this.busy = 0;
    this.uncertainBelow = 0;
    this.mirror.addEventListener("click", () => this.#toggle("mirror"));
    this.pause.addEventListener("click", () => this.#toggle("paused"));
    this.privacy.addEventListener("change", () => this.#send({ privacy: this.privacy.value }));
    this.smoothing.addEventListener("input", () => this.#outputs());
    this.smoothing.addEventListener("change", () =>
      this.#send({ smoothing_s: Number(this.smoothing.value) }),
    );
    this.threshold.addEventListener("input", () => this.#outputs());
    this.threshold.addEventListener("change", () =>
      this.#send({ threshold: Number(this.threshold.value) / 100 }),
    );
    this.thresholdReset.addEventListener("click", () => this.#send({ threshold: null }));
  }

  /** Lets the visitor change the camera, or only see how it is set. */
  allow(allowed) {
    const { mirror, pause, privacy, smoothing, threshold, thresholdReset } = this;
    for (const element of [mirror, pause, privacy, smoothing, threshold, thresholdReset]) {
      element.disabled = !allowed;
      if (!allowed) element.title = "Only operators may change this";
    }
  }

  /** Shows how the camera is set, unless the visitor is changing it right now. */
  show(camera) {
    this.camera = camera;
    if (this.busy) return;
    const { mirror, paused, privacy, smoothing_s, threshold } = camera.controls;
    press(this.mirror, mirror);
    press(this.pause, paused);
    this.pauseIcon.setAttribute("href", paused ? "#i-play" : "#i-pause");
    if (!this.pause.disabled) this.pause.title = paused ? "Go on" : "Pause";
    if (this.privacy.value !== privacy) this.privacy.value = privacy;
    if (!this.smoothing.matches(":active")) this.smoothing.value = smoothing_s;
    if (!this.threshold.matches(":active")) {
      this.threshold.value = Math.round(100 * (threshold ?? this.uncertainBelow));
    }
    this.thresholdReset.hidden = threshold === null;
    this.#outputs();
  }

  #toggle(name) {
    if (this.camera) this.#send({ [name]: !this.camera.controls[name] });
  }

  async #send(changes) {
    if (!this.camera) return;
    this.busy += 1;
    let camera = this.camera;
    try {
      camera = await control(camera.name, changes);
      this.dispatchEvent(new CustomEvent("changed", { detail: camera }));
    } catch (error) {
      this.dispatchEvent(new CustomEvent("refused", { detail: error.message }));
    } finally {
      this.busy -= 1;
    }
    if (camera.name === this.camera.name) this.show(camera);
  }

  #outputs() {
    this.smoothingValue.textContent = `${Number(this.smoothing.value).toFixed(1)}\u202fs`;
    this.thresholdValue.textContent = percent(Number(this.threshold.value) / 100);
  }
}

/** Puts the image on the whole screen and back; the button goes where a browser cannot. */
export function offerFullscreen(button, element, refused) {
  button.hidden = !document.fullscreenEnabled;
  button.addEventListener("click", async () => {
    try {
      if (document.fullscreenElement) await document.exitFullscreen();
      else await element.requestFullscreen();
    } catch {
      refused("This browser does not allow full screen here.");
    }
  });
  document.addEventListener("fullscreenchange", () => {
    button.setAttribute("aria-pressed", String(document.fullscreenElement === element));
  });
}

function press(button, pressed) {
  button.setAttribute("aria-pressed", String(pressed));
}
