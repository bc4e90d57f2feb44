// Why a paused face is labelled so: the server's map over the face, on demand, in the face's card.

import { getWhy } from "./api.js";
import { make } from "./looks.js";

/** A quiet button and, once pressed, what it shows; one per card, hidden unless the camera is paused. */
export class Why {
  constructor(track, looks) {
    this.track = track;
    this.looks = looks;
    this.camera = null;
    this.asked = 0; // answers to earlier questions are of no use
    this.address = null;
    this.element = make("div", "why");
    this.element.hidden = true;
    this.button = make("button", "link", "Why?");
    this.button.type = "button";
    this.button.addEventListener("click", () => (this.panel.hidden ? this.#open() : this.#close()));
    this.#makePanel();
    this.element.append(this.button, this.panel);
    this.#fold(true);
  }

  /** Offers the explanation of a camera's face. */
  offer({ name, controls }, expression) {
    if (this.camera !== name || this.labelled !== expression) this.#close();
    this.camera = name;
    this.labelled = expression;
    this.frame.classList.toggle("mirrored", controls.mirror); // as in the image beside it
    this.button.setAttribute("aria-label", `Why? Face #${this.track}, ${expression}`);
    this.element.hidden = false;
  }

  /** Takes the offer back, and the image with it. */
  withdraw() {
    this.#close();
    this.element.hidden = true;
  }

  #makePanel() {
    this.panel = make("div", "why-panel");
    this.panel.id = `why-${this.track}`;
    this.button.setAttribute("aria-controls", this.panel.id);
    this.frame = make("div", "why-image");
    this.text = make("p", "why-text");
    this.text.setAttribute("role", "status");
    this.select = make("select", "");
    for (const label of this.looks.labels) this.select.append(new Option(label, label));
    this.select.addEventListener("change", () => this.#ask(this.select.value));
    const choice = make("label", "select");
    choice.append(make("span", "hidden", "Another expression"), this.select);
    const about = make("div", "why-about");
    about.append(this.text, choice);
    this.panel.append(this.frame, about);
  }

  #open() {
    this.#fold(false);
    this.select.value = this.labelled;
    this.#ask(this.labelled);
    this.panel.scrollIntoView({ block: "nearest" });
  }

  #close() {
    this.asked += 1;
    this.#show(null);
    this.text.textContent = "";
    this.#fold(true);
  }

  async #ask(expression) {
    this.asked += 1;
    const question = this.asked;
    this.#busy(true);
    this.frame.hidden = false;
    this.text.textContent = "Asking the network\u2026 the first time takes a few seconds.";
    try {
      const answer = await getWhy(this.camera, this.track, expression);
      if (question !== this.asked) return;
      this.#show(answer.image, expression);
      this.text.replaceChildren(...sayingOf(expression, answer.evidence));
    } catch (error) {
      if (question !== this.asked) return;
      this.#show(null);
      this.text.textContent = error.message;
    }
    this.#busy(false);
  }

  #busy(busy) {
    this.panel.setAttribute("aria-busy", String(busy));
  }

  #show(image, expression) {
    if (this.address) URL.revokeObjectURL(this.address);
    this.address = image && URL.createObjectURL(image);
    this.frame.replaceChildren();
    this.frame.hidden = !image;
    if (!image) return;
    const img = make("img", "");
    img.alt = `Face #${this.track}; warm where the network saw ${expression}`;
    img.src = this.address;
    this.frame.append(img);
  }

  #fold(folded) {
    this.panel.hidden = folded;
    this.button.setAttribute("aria-expanded", String(!folded));
  }
}

function sayingOf(expression, evidence) {
  const name = make("strong", "", expression);
  if (!evidence) return ["Nothing in this face speaks for ", name, "."];
  return ["Where the network looked for ", name, "; warm colours speak for it."];
}
