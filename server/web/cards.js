// A card for every face in view: its number, expression, confidence, and the seven probabilities.

import { Bars, make, percent } from "./looks.js";
import { Why } from "./why.js";

const LEAVES_AFTER_MS = 1500; // a face lost for a frame or two keeps its card
const REDRAW_MS = 100; // eyes do not read faster

/** The list of cards, in the order of the faces' numbers. */
export class Cards {
  constructor({ list, empty, count }, looks) {
    this.list = list;
    this.empty = empty;
    this.count = count;
    this.looks = looks;
    this.cards = new Map();
    this.drawnAt = 0;
    this.shownAt = 0;
    this.clear();
    setInterval(() => this.#drop(performance.now()), LEAVES_AFTER_MS / 3);
  }

  /** Shows the faces of one analysed frame; call it as often as frames come. */
  show(faces, now = performance.now()) {
    this.faces = faces;
    this.#seen(now);
    const unknown = faces.some((face) => !this.cards.has(face.track));
    if (unknown || this.#paused || now - this.drawnAt >= REDRAW_MS) this.#draw(now);
  }

  /** Follows a camera's controls: while it is paused, the last frame's cards stay and can be asked why. */
  follow(camera) {
    const now = performance.now();
    const resumed = this.#paused && !camera.controls.paused;
    this.camera = camera;
    if (resumed) this.#seen(now); // until the next frame comes
    if (resumed || this.#paused) this.#draw(now);
  }

  /** Removes every card. */
  clear() {
    for (const card of this.cards.values()) card.remove();
    this.cards.clear();
    this.faces = [];
    this.camera = null;
    this.#summarise();
  }

  get #paused() {
    return this.camera?.controls.paused ?? false;
  }

  #seen(now) {
    this.shownAt = now;
    for (const { track } of this.faces) {
      const card = this.cards.get(track);
      if (card) card.seenAt = now;
    }
  }

  #draw(now) {
    this.drawnAt = now;
    const explains = this.#paused && this.camera.controls.privacy === "none";
    for (const face of this.faces) this.#card(face.track).show(face, explains ? this.camera : null);
    this.#drop(now);
  }

  #card(track) {
    let card = this.cards.get(track);
    if (!card) {
      card = new Card(track, this.looks);
      this.cards.set(track, card);
      const later = [...this.list.children].find((other) => Number(other.dataset.track) > track);
      this.list.insertBefore(card.element, later ?? null);
      card.seenAt = this.shownAt;
    }
    return card;
  }

  #drop(now) {
    for (const [track, card] of this.cards) {
      const stays = this.#paused && card.seenAt === this.shownAt;
      const awayMs = stays ? 0 : now - card.seenAt;
      card.element.classList.toggle("lost", awayMs > LEAVES_AFTER_MS / 3);
      if (awayMs > LEAVES_AFTER_MS) {
        card.remove();
        this.cards.delete(track);
      }
    }
    this.#summarise();
  }

  #summarise() {
    this.empty.hidden = this.cards.size > 0;
    const inView = this.list.querySelectorAll(".card:not(.lost)").length;
    const text = inView ? `${inView} in view` : "";
    if (this.count.textContent !== text) this.count.textContent = text;
  }
}

class Card {
  constructor(track, looks) {
    this.looks = looks;
    this.seenAt = 0;
    this.element = make("li", "card");
    this.element.dataset.track = track;
    this.swatch = make("span", "swatch");
    this.swatch.setAttribute("aria-hidden", "true");
    this.label = make("span", "card-label");
    this.confidence = make("span", "card-confidence");
    this.mark = make("span", "card-uncertain", "uncertain");
    this.mark.hidden = true;
    this.bars = new Bars(looks);
    this.why = new Why(track, looks);
    const head = make("h3", "card-head");
    const number = make("span", "card-number", `#${track}`);
    head.append(this.swatch, this.label, this.confidence, this.mark, number);
    this.element.append(head, this.bars.element, this.why.element);
  }

  /** Shows a face; one of a paused camera, which is given, can be asked why. */
  show(face, paused) {
    if (this.label.textContent !== face.expression) {
      this.label.textContent = face.expression;
      this.swatch.className = `swatch look-${this.looks.index(face.expression)}`;
    }
    this.confidence.textContent = percent(face.confidence);
    this.mark.hidden = !face.uncertain;
    this.element.classList.toggle("uncertain", face.uncertain);
    this.bars.update(face.probabilities, face.expression);
    if (paused) this.why.offer(paused, face.expression);
    else this.why.withdraw();
  }

  remove() {
    this.why.withdraw();
    this.element.remove();
  }
}
