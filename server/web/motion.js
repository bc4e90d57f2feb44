// Animates the elements of a list from their old to their new places, so that nothing jumps.

const MOVE_MS = 180;
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Runs `change`, which reorders the list, and moves every remaining element smoothly to its new place. */
export function moveSmoothly(list, change) {
  const before = new Map([...list.children].map((element) => [element, element.getBoundingClientRect()]));
  change();
  if (still.matches || document.hidden) return;
  for (const element of list.children) {
    const was = before.get(element);
    if (!was) continue;
    const is = element.getBoundingClientRect();
    const [x, y] = [was.left - is.left, was.top - is.top];
    if (!x && !y) continue;
    const frames = [{ transform: `translate(${x}px, ${y}px)` }, { transform: "none" }];
    element.animate(frames, { duration: MOVE_MS, easing: "ease-out" });
  }
}
