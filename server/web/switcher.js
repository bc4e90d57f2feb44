// One radio button per camera, with its state beside its name.

import { make } from "./looks.js";
import { saying } from "./status.js";

/** Fires "pick" (detail: the camera's name). */
export class Switcher extends EventTarget {
  constructor(fieldset) {
    super();
    this.fieldset = fieldset;
    this.chips = new Map();
    this.current = null;
    fieldset.addEventListener("scroll", () => this.#fade());
    fieldset.addEventListener("wheel", (event) => this.#roll(event), { passive: false });
    new ResizeObserver(() => this.#fade()).observe(fieldset);
  }

  /** Shows these cameras, reusing existing buttons; `current` is marked. */
  show(cameras, current) {
    const names = new Set(cameras.map(({ name }) => name));
    for (const [name, chip] of this.chips) {
      if (names.has(name)) continue;
      chip.label.remove();
      this.chips.delete(name);
    }
    for (const camera of cameras) this.#chip(camera.name).update(camera, camera.name === current);
    if (current !== this.current) this.#reveal(current);
    this.current = current;
    this.#fade();
  }

  /** Scrolls a camera's button into view, and the page not at all. */
  #reveal(name) {
    const label = this.chips.get(name)?.label;
    if (!label) return;
    const [at, view] = [label.getBoundingClientRect(), this.fieldset.getBoundingClientRect()];
    if (at.left < view.left || at.right > view.right) {
      this.fieldset.scrollLeft += (at.left + at.right - view.left - view.right) / 2;
    }
  }

  /** Tells on which sides there are more buttons than fit. */
  #fade() {
    const { scrollLeft, scrollWidth, clientWidth } = this.fieldset;
    const more = [scrollLeft > 1 && "left", scrollLeft + clientWidth < scrollWidth - 1 && "right"];
    const text = more.filter(Boolean).join(" ");
    if (text) this.fieldset.dataset.more = text;
    else delete this.fieldset.dataset.more;
  }

  /** A wheel without a horizontal axis moves the buttons, too. */
  #roll(event) {
    if (event.deltaX || !this.fieldset.dataset.more) return;
    event.preventDefault();
    this.fieldset.scrollLeft += event.deltaY;
  }

  #chip(name) {
    if (!this.chips.has(name)) {
      const chip = new Chip(name, () => this.dispatchEvent(new CustomEvent("pick", { detail: name })));
      this.chips.set(name, chip);
      this.fieldset.append(chip.label);
    }
    return this.chips.get(name);
  }
}

class Chip {
  constructor(name, pick) {
    this.label = make("label", "chip");
    this.input = make("input", "");
    Object.assign(this.input, { type: "radio", name: "camera", value: name });
    this.input.addEventListener("change", pick);
    this.dot = make("span", "dot");
    this.dot.setAttribute("aria-hidden", "true");
    this.label.append(this.input, this.dot, make("span", "chip-name", name));
  }

  update(camera, current) {
    this.label.dataset.status = camera.controls.paused ? "paused" : camera.status;
    this.label.title = [camera.source, saying(camera), camera.reason].filter(Boolean).join(" \u2013 ");
    this.input.setAttribute("aria-label", `${camera.name}, ${saying(camera)}`);
    if (this.input.checked !== current) this.input.checked = current;
  }
}
