// A card for every face in view: its number, expression, confidence, and the seven probabilities.

import { Bars, make, percent } from "./looks.js";

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
    this.clear();
    setInterval(() => this.#drop(performance.now()), LEAVES_AFTER_MS / 3);
  }

  /** Shows the faces of one analysed frame; call it as often as frames come. */
  show(faces, now = performance.now()) {
    for (const face of faces) {
      const card = this.cards.get(face.track);
      if (card) card.seenAt = now;
    }
    const unknown = faces.some((face) => !this.cards.has(face.track));
    if (!unknown && now - this.drawnAt < REDRAW_MS) return;
    this.drawnAt = now;
    for (const face of faces) this.#card(face.track, now).show(face);
    this.#drop(now);
  }

  /** Removes every card. */
  clear() {
    this.cards.clear();
    this.list.replaceChildren();
    this.#summarise();
  }

  #card(track, now) {
    let card = this.cards.get(track);
    if (!card) {
      card = new Card(track, this.looks);
      this.cards.set(track, card);
      const later = [...this.list.children].find((other) => Number(other.dataset.track) > track);
      this.list.insertBefore(card.element, later ?? null);
    }
    card.seenAt = now;
    return card;
  }

  #drop(now) {
    for (const [track, card] of this.cards) {
      const awayMs = now - card.seenAt;
      card.element.classList.toggle("lost", awayMs > LEAVES_AFTER_MS / 3);
      if (awayMs > LEAVES_AFTER_MS) {
        card.element.remove();
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
    const head = make("h3", "card-head");
    const number = make("span", "card-number", `#${track}`);
    head.append(this.swatch, this.label, this.confidence, this.mark, number);
    this.element.append(head, this.bars.element);
  }

  show(face) {
    if (this.label.textContent !== face.expression) {
      this.label.textContent = face.expression;
      this.swatch.className = `swatch look-${this.looks.index(face.expression)}`;
    }
    this.confidence.textContent = percent(face.confidence);
    this.mark.hidden = !face.uncertain;
    this.element.classList.toggle("uncertain", face.uncertain);
    this.bars.update(face.probabilities, face.expression);
  }
}
