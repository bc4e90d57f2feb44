// One face's card: a line with its thumbnail, label and shares, and below it, when open, the seven bars.

import { Bars, StackedBar, labelOf, leader, make, percent, reasonOf, sharp } from "./looks.js";
import { Why } from "./why.js";

const THUMBNAIL = 44; // CSS pixels

/** A card; insert `element` into the list. */
export class Card {
  constructor(track, looks) {
    this.track = track;
    this.looks = looks;
    this.seenAt = this.thumbnailAt = 0;
    this.lost = false;
    this.chosen = null; // whether the visitor opened or closed it
    this.compact = false;
    this.element = make("li", "card");
    this.element.dataset.track = track;
    this.bars = new Bars(looks);
    this.why = new Why(track, looks);
    this.why.addEventListener("open", () => this.#choose(true));
    this.body = make("div", "card-body");
    this.body.id = `card-${track}`;
    this.body.append(this.bars.element, this.why.panel);
    this.element.append(this.#makeHead(), this.body);
    this.#fold();
  }

  /** Shows a face of the newest frame. */
  show(face) {
    const label = labelOf(face);
    if (this.label.textContent !== label) this.label.textContent = label;
    const longest = leader(face.probabilities);
    this.swatch.className = `swatch look-${this.looks.index(longest)}`;
    this.confidence.textContent = label === "changing" ? "" : percent(face.confidence);
    this.mark.hidden = !face.uncertain;
    this.mark.textContent = this.mark.title = reasonOf(face); // a narrow card may cut it off
    this.element.classList.toggle("uncertain", face.uncertain);
    this.bars.update(face.probabilities, longest);
    this.stack.update(face.probabilities);
    this.why.label(face.expression);
  }

  /** Updates from the camera's controls, which decide whether an explanation is available. */
  follow(camera) {
    this.why.follow(camera);
  }

  /** Whether the face is out of view. */
  setLost(lost) {
    if (this.lost === lost) return;
    this.lost = lost;
    this.element.classList.toggle("lost", lost);
  }

  /** Sets whether cards are a single line until opened. */
  setCompact(compact) {
    this.compact = compact;
    this.#fold();
  }

  clearThumbnail() {
    this.thumbnailAt = 0;
    this.thumbnail.width = sharp(THUMBNAIL);
    this.thumbnail.classList.add("empty");
  }

  remove() {
    this.why.close();
    this.element.remove();
  }

  #makeHead() {
    this.thumbnail = make("canvas", "card-thumbnail empty");
    this.thumbnail.width = this.thumbnail.height = sharp(THUMBNAIL);
    this.thumbnail.setAttribute("aria-hidden", "true");
    this.swatch = make("span", "swatch");
    this.swatch.setAttribute("aria-hidden", "true");
    this.label = make("span", "card-label");
    this.confidence = make("span", "card-confidence");
    this.mark = make("span", "card-uncertain", "uncertain");
    this.mark.hidden = true;
    this.stack = new StackedBar(this.looks);
    const text = make("span", "card-text");
    text.append(this.swatch, this.label, this.confidence, this.mark);
    this.toggle = make("button", "card-toggle");
    this.toggle.type = "button";
    this.toggle.setAttribute("aria-controls", this.body.id);
    this.toggle.addEventListener("click", () => this.#choose(this.body.hidden));
    this.toggle.append(this.thumbnail, make("span", "card-number", `#${this.track}`), text, this.stack.element);
    const heading = make("h3", "card-heading");
    heading.append(this.toggle);
    const head = make("div", "card-head");
    head.append(heading, this.why.button);
    return head;
  }

  #choose(open) {
    this.chosen = open;
    this.#fold();
  }

  #fold() {
    const open = this.chosen ?? !this.compact;
    this.body.hidden = !open;
    this.element.classList.toggle("open", open);
    this.toggle.setAttribute("aria-expanded", String(open));
  }
}
