// Keyboard shortcuts of the buttons, and the dialog that lists them.

import { make } from "./looks.js";

const TYPING = "input:not([type=radio], [type=checkbox], [type=range]), textarea, select, [contenteditable]";

/** Calls `actions`, a list of [keys, label, function], unless the visitor types or a dialog is open. */
export function listen(actions, dialog) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]") || event.target.closest?.(TYPING)) return;
    const key = event.key.length === 1 ? event.key.toUpperCase() : event.key;
    // Space presses the focused button, and arrows move within it.
    const control = event.target.closest?.("button, a, input");
    if (control && (key === " " || (key.startsWith("Arrow") && control.matches("input")))) return;
    const found = actions.find(([keys]) => keys.includes(key));
    if (!found) return;
    event.preventDefault();
    found[2]();
  });
  const rows = actions.flatMap(([keys, what]) => {
    const term = make("dt", "");
    term.append(...keys.map((key) => make("kbd", "", NAMES[key] ?? key)));
    return [term, make("dd", "", what)];
  });
  dialog.querySelector("dl").replaceChildren(...rows);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}

const NAMES = { " ": "Space", ArrowLeft: "\u2190", ArrowRight: "\u2192", ArrowUp: "\u2191", ArrowDown: "\u2193" };
