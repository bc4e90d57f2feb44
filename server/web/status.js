// Messages to the visitor: the status line, the notice below the image, the veil over it, toasts.

import { sentence } from "./api.js";
import { make } from "./looks.js";

const SAYINGS = {
  starting: "Starting",
  live: "Live",
  stalled: "Stalled",
  reconnecting: "Reconnecting",
  missing: "Missing",
  busy: "Busy",
  forbidden: "No permission",
  ended: "Ended",
  paused: "Paused",
};
const REFRESH_MS = 500;
const TOAST_MS = 4500;

/** A camera's status in a word or two. */
export function saying(camera) {
  if (camera.controls.paused) return SAYINGS.paused;
  if (camera.controls.recording && camera.status === "live") return "Recording";
  if (camera.kind === "browser" && camera.status === "missing") return "Off";
  return SAYINGS[camera.status] ?? camera.status;
}

/** The status line: state, frame rate, latency, size, viewers; and the times of the stages. */
export class StatusLine {
  constructor({ state, text, figures, stages }) {
    Object.assign(this, { state, text, figures, stages });
    this.latency = null;
    this.shownAt = 0;
  }

  /** Shows the camera's state, or that the server cannot be reached. */
  camera(camera, { lost = false } = {}) {
    const known = camera && !lost;
    const waits = known && camera.retry_in_s > 0 && camera.status !== "live";
    const text = known ? saying(camera) : "Connection lost";
    const shown = waits ? `${text}, next try in ${Math.ceil(camera.retry_in_s)} s` : text;
    if (this.text.textContent !== shown) this.text.textContent = shown;
    this.state.dataset.status = !known ? "lost" : camera.controls.paused ? "paused" : camera.status;
    if (!known || camera.status !== "live" || camera.controls.paused) this.clear();
  }

  /** Removes outdated figures. */
  clear() {
    this.latency = null;
    this.figures.replaceChildren();
  }

  /** Shows the figures of an analysed frame, at most twice a second. */
  analysis(message, now = performance.now()) {
    const age = 1000 * message.age_s;
    this.latency = this.latency === null ? age : 0.9 * this.latency + 0.1 * age;
    if (now - this.shownAt < REFRESH_MS) return;
    this.shownAt = now;
    const { viewers, width, height, fps } = message;
    this.figures.replaceChildren(
      figure(`${fps.toFixed(fps < 9.95 ? 1 : 0)} fps`, "Frames per second from the camera"),
      figure(`${Math.round(this.latency)} ms`, "Latency: from capture until the result was sent"),
      figure(`${width}\u2009\u00d7\u2009${height}`, "Size of the image in pixels"),
      figure(`${viewers} ${viewers === 1 ? "viewer" : "viewers"}`, "Current viewers of this camera"),
    );
    this.#times(message.stages);
  }

  #times(stages) {
    const rows = Object.entries(stages).flatMap(([name, seconds]) => [
      make("dt", "", name),
      make("dd", "", `${(1000 * seconds).toFixed(1)} ms`),
    ]);
    this.stages.replaceChildren(...rows);
  }
}

/** The line below the image that reports problems and offers actions; empty if there are none. */
export class Notice {
  constructor(element) {
    this.element = element;
    this.said = "";
  }

  /** Shows a text; `actions` is a list of [label, function]. Repeating the same changes nothing. */
  say(text, { actions = [], calm = false } = {}) {
    this.element.classList.toggle("calm", calm);
    const key = [text, ...actions.map(([label]) => label)].join("|");
    if (key === this.said) return;
    this.said = key;
    const buttons = actions.map(([label, act]) => {
      const button = make("button", "link", label);
      button.type = "button";
      button.addEventListener("click", act);
      return button;
    });
    this.element.replaceChildren(...(text ? [make("span", "", sentence(text)), ...buttons] : []));
  }
}

/** A cover over the image for when there is none to show. */
export class Veil {
  constructor({ veil, title, text, action }) {
    Object.assign(this, { veil, title, text, button: action });
    this.act = null;
    action.addEventListener("click", () => this.act?.());
  }

  /** Covers the image. */
  show(title, text = "", { label = "", act = null } = {}) {
    this.title.textContent = title;
    this.text.textContent = text;
    this.button.textContent = label;
    this.button.hidden = !act;
    this.act = act;
    this.veil.hidden = false;
  }

  /** Uncovers it. */
  hide() {
    this.veil.hidden = true;
  }
}

/** A line over everything, full screen and dialogs too, that disappears by itself. */
export class Toast {
  constructor(element) {
    this.element = element;
    this.timer = 0;
  }

  /** Shows a sentence. */
  say(text) {
    clearTimeout(this.timer);
    this.#hide();
    this.element.showPopover();
    this.element.textContent = text;
    this.timer = setTimeout(() => this.#hide(), TOAST_MS);
  }

  #hide() {
    if (this.element.matches(":popover-open")) this.element.hidePopover();
    this.element.textContent = "";
  }
}

function figure(text, title) {
  const element = make("span", "figure", text);
  element.title = title;
  return element;
}
