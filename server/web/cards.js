// A card for every face, those in view first in order of appearance; cards of gone faces are removed.

import { Card } from "./card.js";
import { moveSmoothly } from "./motion.js";

const LOST_AFTER_MS = 500; // a face lost for a frame or two counts as in view
const LEAVES_AFTER_MS = 1500;
const [LOST_FRAMES, LEAVES_FRAMES] = [2.5, 3.5]; // of slow cameras, whose frames are further apart
const SLOW_MS = 1000; // between frames, while the rate is not known yet
const REDRAW_MS = 100; // eyes do not read faster
const THUMBNAIL_MS = 500;
const COMPACT_FROM = 3; // faces
const OPENS_AFTER_MS = 3000; // of fewer faces, before one-line cards open again

/** Fires "hover" (detail: a track or null), and "early" (detail: why a face cannot be explained yet). */
export class Cards extends EventTarget {
  constructor({ list, empty, count }, looks) {
    super();
    Object.assign(this, { list, empty, count, looks });
    this.cards = new Map();
    this.drawnAt = this.shownAt = 0;
    this.compact = false;
    this.intervalMs = SLOW_MS;
    this.crowdedAt = -Infinity;
    this.clear();
    setInterval(() => this.#settle(performance.now()), LEAVES_AFTER_MS / 3);
  }

  /** Shows the faces of one analysed frame of `fps` a second; call it for every frame. */
  show(faces, fps, now = performance.now()) {
    this.faces = faces;
    this.intervalMs = fps > 0 ? 1000 / fps : SLOW_MS;
    this.#seen(now);
    const unknown = faces.some((face) => !this.cards.has(face.track));
    if (unknown || this.#paused || now - this.drawnAt >= REDRAW_MS) this.#draw(now);
  }

  /** Updates from a camera's controls: while paused, the last frame's cards stay and can be explained. */
  follow(camera) {
    const now = performance.now();
    const resumed = this.#paused && !camera.controls.paused;
    this.camera = camera;
    if (resumed) this.#seen(now); // until the next frame arrives
    for (const card of this.cards.values()) card.follow(camera);
    this.#settle(now);
  }

  /** Redraws the thumbnails from the displayed image. */
  drawThumbnails(stage, now = performance.now()) {
    for (const card of this.cards.values()) {
      if (now - card.thumbnailAt < THUMBNAIL_MS) continue;
      if (stage.thumbnail(card.track, card.thumbnail)) card.thumbnailAt = now;
      card.thumbnail.classList.toggle("empty", card.thumbnailAt === 0);
    }
  }

  /** Clears the thumbnails. */
  clearThumbnails() {
    for (const card of this.cards.values()) card.clearThumbnail();
  }

  /** Highlights a face's card; null for none. */
  light(track) {
    for (const card of this.cards.values()) card.element.classList.toggle("lit", card.track === track);
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
    const fresh = this.faces.filter(({ track }) => !this.cards.has(track));
    for (const { track } of fresh) this.#add(track);
    for (const face of this.faces) this.cards.get(face.track).show(face);
    this.#settle(now);
  }

  #add(track) {
    const card = new Card(track, this.looks);
    card.seenAt = this.shownAt;
    const tell = (type, detail) => this.dispatchEvent(new CustomEvent(type, { detail }));
    card.element.addEventListener("pointerenter", () => tell("hover", track));
    card.element.addEventListener("pointerleave", () => tell("hover", null));
    card.element.addEventListener("focusin", () => tell("hover", track));
    card.element.addEventListener("focusout", () => tell("hover", null));
    card.why.addEventListener("early", ({ detail }) => tell("early", detail));
    if (this.camera) card.follow(this.camera);
    this.cards.set(track, card);
  }

  /** Removes cards of gone faces and sorts the others. */
  #settle(now) {
    for (const [track, card] of this.cards) {
      const stays = this.#paused && card.seenAt === this.shownAt;
      const awayMs = stays ? 0 : now - card.seenAt;
      card.setLost(awayMs > Math.max(LOST_AFTER_MS, LOST_FRAMES * this.intervalMs));
      if (awayMs > Math.max(LEAVES_AFTER_MS, LEAVES_FRAMES * this.intervalMs)) {
        if (card.element.contains(document.activeElement)) this.list.focus(); // keeps the focus in the list
        this.cards.delete(track);
      }
    }
    const wanted = [...this.cards.values()].sort((a, b) => a.lost - b.lost || a.track - b.track);
    const inView = wanted.filter(({ lost }) => !lost).length;
    if (inView >= COMPACT_FROM) this.crowdedAt = now;
    const compact = now - this.crowdedAt < OPENS_AFTER_MS;
    this.#arrange(wanted, compact);
    this.#summarise();
  }

  #arrange(wanted, compact) {
    const elements = wanted.map(({ element }) => element);
    const same =
      compact === this.compact &&
      elements.length === this.list.children.length &&
      elements.every((element, n) => element === this.list.children[n]);
    if (same) return;
    moveSmoothly(this.list, () => {
      this.compact = compact;
      this.list.classList.toggle("compact", compact);
      for (const gone of [...this.list.children]) if (!elements.includes(gone)) gone.remove();
      elements.forEach((element, n) => {
        if (this.list.children[n] !== element) this.list.insertBefore(element, this.list.children[n] ?? null);
      });
      for (const card of wanted) card.setCompact(compact);
    });
  }

  #summarise() {
    this.empty.hidden = this.cards.size > 0;
    const inView = [...this.cards.values()].filter(({ lost }) => !lost).length;
    const text = inView ? `${inView} in view` : "";
    if (this.count.textContent !== text) this.count.textContent = text;
  }
}
