// The buttons that change a camera on the server, for all its viewers.

import { control } from "./api.js";
import { percent } from "./looks.js";

const RECORD = "Record results and annotated images on the server's machine (R)";

/** Fires "changed" (detail: the updated camera) and "refused" (detail: the message). */
export class Controls extends EventTarget {
  constructor(elements) {
    super();
    Object.assign(this, elements);
    this.camera = null;
    this.busy = 0;
    this.uncertainBelow = 0;
    this.mirror.addEventListener("click", () => this.toggle("mirror"));
    this.pause.addEventListener("click", () => this.toggle("paused"));
    this.record.addEventListener("click", () => this.toggle("recording"));
    this.privacy.addEventListener("change", () => this.#send({ privacy: this.privacy.value }));
    this.smoothing.addEventListener("input", () => this.#outputs());
    this.smoothing.addEventListener("change", () =>
      this.#send({ smoothing_s: Number(this.smoothing.value) }),
    );
    this.threshold.addEventListener("input", () => this.#outputs());
    this.threshold.addEventListener("change", () =>
      this.#send({ threshold: Number(this.threshold.value) / 100 }),
    );
    this.rotate.addEventListener("change", () => this.#send({ rotate: Number(this.rotate.value) }));
    this.flip.addEventListener("change", () => this.#send({ flip: this.flip.checked }));
    this.thresholdReset.addEventListener("click", () => this.#send({ threshold: null }));
  }

  /** Allows the visitor to change the camera, or only to see its settings. */
  allow(allowed) {
    const { mirror, pause, record, privacy, rotate, flip, smoothing, threshold, thresholdReset } = this;
    const looks = [privacy, rotate, flip, smoothing, threshold, thresholdReset];
    for (const element of [mirror, pause, record, ...looks]) {
      element.disabled = !allowed;
      if (!allowed) element.title = "Only operators may change this";
    }
  }

  /** Shows the camera's settings, unless the visitor is changing them right now. */
  show(camera) {
    this.camera = camera;
    if (this.busy) return;
    const { mirror, paused, recording, privacy, rotate, flip, smoothing_s, threshold } = camera.controls;
    press(this.mirror, mirror);
    press(this.record, recording);
    this.recordText.textContent = recording ? "Stop" : "Record";
    if (!this.record.disabled) this.record.title = recording ? "Stop recording (R)" : RECORD;
    press(this.pause, paused);
    this.pauseIcon.setAttribute("href", paused ? "#i-play" : "#i-pause");
    this.pauseText.textContent = paused ? "Resume" : "Pause";
    if (!this.pause.disabled) this.pause.title = paused ? "Resume (space)" : "Pause for all viewers (space)";
    if (this.rotate.value !== String(rotate)) this.rotate.value = String(rotate);
    this.flip.checked = flip;
    if (this.privacy.value !== privacy) this.privacy.value = privacy;
    if (!this.smoothing.matches(":active")) this.smoothing.value = smoothing_s;
    if (!this.threshold.matches(":active")) {
      this.threshold.value = Math.round(100 * (threshold ?? this.uncertainBelow));
    }
    this.thresholdReset.hidden = threshold === null;
    this.#outputs();
  }

  /** Turns a control on or off. */
  toggle(name) {
    if (this.camera && !this.mirror.disabled) this.#send({ [name]: !this.camera.controls[name] });
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

/** Toggles full screen; the button is hidden if the browser does not support it. */
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

/** Opens a popover beside its button, inside the window. */
export function anchor(popover, button) {
  popover.addEventListener("toggle", ({ newState }) => {
    if (newState !== "open") return;
    const [at, size] = [button.getBoundingClientRect(), popover.getBoundingClientRect()];
    const left = Math.max(12, Math.min(at.right - size.width, innerWidth - size.width - 12));
    const above = at.top - size.height - 8;
    const below = Math.min(at.bottom + 8, innerHeight - size.height - 12);
    popover.style.setProperty("left", `${left}px`);
    popover.style.setProperty("top", `${Math.max(12, above >= 12 ? above : below)}px`);
  });
}
