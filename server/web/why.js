// Why a paused face got its label: the server's map over the face, on demand, in the face's card.

import { getWhy } from "./api.js";
import { make } from "./looks.js";

const EARLY = "Pause to ask";
const HIDDEN = "Not while faces are hidden";

/** Insert `button` into the card's head, `panel` into its body. Fires "open" and "early" (detail: the reason). */
export class Why extends EventTarget {
  constructor(track, looks) {
    super();
    this.track = track;
    this.looks = looks;
    this.camera = null;
    this.obstacle = EARLY;
    this.labelled = "";
    this.asked = 0; // responses to earlier requests are ignored
    this.address = null;
    this.button = make("button", "link why");
    this.button.type = "button";
    this.hint = make("span", "why-hint", EARLY);
    this.button.append("Why?", this.hint);
    this.button.addEventListener("click", () => this.#pressed());
    this.#makePanel();
    this.#fold(true);
    this.#describe();
  }

  /** Updates the face's label. */
  label(expression) {
    if (this.labelled === expression) return;
    this.labelled = expression;
    this.close();
    this.#describe();
  }

  /** Updates from the camera's controls: a face can be explained while it is paused and visible. */
  follow({ name, controls }) {
    const hidden = controls.privacy !== "none" ? HIDDEN : "";
    const obstacle = controls.paused ? hidden : EARLY;
    if (this.camera !== name || obstacle) this.close();
    this.camera = name;
    this.frame.classList.toggle("mirrored", controls.mirror); // as in the image beside it
    if (this.obstacle === obstacle) return;
    this.obstacle = obstacle;
    this.#describe();
  }

  /** Closes the panel and drops the explanation. */
  close() {
    if (this.panel.hidden) return;
    this.asked += 1;
    this.#show(null);
    this.text.textContent = "";
    this.#fold(true);
  }

  #describe() {
    this.hint.textContent = this.obstacle;
    this.button.title = this.obstacle;
    this.button.setAttribute("aria-disabled", String(Boolean(this.obstacle)));
    const about = this.obstacle || `Face #${this.track}, ${this.labelled}`;
    this.button.setAttribute("aria-label", `Why? ${about}`);
  }

  #pressed() {
    if (this.obstacle) this.dispatchEvent(new CustomEvent("early", { detail: `${this.obstacle}.` }));
    else if (this.panel.hidden) this.#open();
    else this.close();
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
    this.dispatchEvent(new Event("open"));
    this.#fold(false);
    this.select.value = this.labelled;
    this.#ask(this.labelled);
    this.panel.scrollIntoView({ block: "nearest" });
  }

  async #ask(expression) {
    this.asked += 1;
    const question = this.asked;
    this.#busy(true);
    this.frame.hidden = false;
    this.text.textContent = "Asking the network\u2026 The first time takes a few seconds.";
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
    img.alt = `Face #${this.track}; warm areas support ${expression} most`;
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
  if (!evidence) return ["Nothing in this face supports ", name, "."];
  return ["Warm areas support ", name, " most."];
}
