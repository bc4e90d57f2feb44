// Draws faces over an image: boxes, labels and bars, on any canvas, in units of one CSS pixel.

import { labelOf, percent, REASONS } from "./looks.js";

const PLATE = "rgb(14 17 20 / 82%)";
const INK = "#f3f5f7";
const DIM = "rgb(14 17 20 / 55%)";
const FONT = 'Inter, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif';
const [TEXT, LINE, PAD, BAR] = [13, 20, 6, 8];
const [CROWD, NARROW] = [3, 480]; // so many faces in so few pixels: their cards say the rest

/**
 * Draws faces.
 *
 * context: of the canvas; faces: with `box` in the canvas's pixels, `name` and `track`.
 * unit: canvas pixels per CSS pixel; width, height: of the area in canvas pixels.
 * shows: { boxes, names, bars, confidence }; lit: the track to highlight, or null.
 */
export function drawFaces(context, faces, looks, { unit, width, height, shows, lit = null }) {
  context.save();
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.font = `600 ${TEXT * unit}px ${FONT}`;
  for (const face of faces) {
    if (shows.boxes || face.track === lit) drawBox(context, face, looks, unit, face.track === lit);
    if (shows.bars) drawBar(context, face, looks, unit);
  }
  const brief = faces.length >= CROWD && width < NARROW * unit;
  const area = { unit, width, height, bars: shows.bars };
  for (const label of labelsOf(context, faces, (face) => textsOf(face, shows, brief), area)) {
    drawLabel(context, label, looks, unit);
  }
  context.restore();
}

/** What a label may say, the most first. */
function textsOf(face, { names, confidence }, brief) {
  const parts = [];
  if (names) parts.push(face.name);
  if (names || confidence) parts.push(labelOf(face) + (face.uncertain ? "?" : ""));
  if (confidence && !brief) parts.push(percent(face.confidence));
  if (parts.length && !brief && face.uncertain && REASONS[face.quality]) parts.push(`\u00b7 ${REASONS[face.quality]}`);
  return parts.map((_, n) => parts.slice(0, parts.length - n).join(" "));
}

function drawBox(context, { box, expression, uncertain }, looks, unit, lit) {
  const [x, y, wide, high] = box;
  const thick = (lit ? 4 : 2) * unit;
  context.setLineDash([]);
  context.lineWidth = thick + 2 * unit;
  context.strokeStyle = DIM;
  context.strokeRect(x, y, wide, high);
  if (uncertain) context.setLineDash([7 * unit, 5 * unit]);
  context.lineWidth = thick;
  context.strokeStyle = looks.colours[expression];
  context.strokeRect(x, y, wide, high);
  context.setLineDash([]);
}

/** The seven shares side by side, along the lower edge. */
function drawBar(context, { box, probabilities }, looks, unit) {
  const [x, y, wide, high] = box;
  const top = y + high + 3 * unit;
  context.fillStyle = PLATE;
  context.fillRect(x - unit, top - unit, wide + 2 * unit, (BAR + 2) * unit);
  let left = x;
  for (const label of looks.labels) {
    const share = wide * (probabilities[label] ?? 0);
    context.fillStyle = looks.colours[label];
    context.fillRect(left, top, share, BAR * unit);
    left += share;
  }
}

/** The faces' labels and their places: all of them say as much as leaves room for each. */
function labelsOf(context, faces, textsOf, area) {
  for (let less = 0; ; less += 1) {
    const texts = faces.map(textsOf);
    const taken = [];
    faces.forEach((face, n) => {
      const text = texts[n][Math.min(less, texts[n].length - 1)];
      if (text) taken.push(labelPlace(context, face, text, taken, area));
    });
    if (taken.every(({ free }) => free) || texts.every(({ length }) => length <= less + 1)) return taken;
  }
}

/** Above the box or below it, from its left or to its right: where no other label is; else inside its top. */
function labelPlace(context, { box, expression }, text, taken, { unit, width, height, bars }) {
  const [x, y, across, high] = box;
  const wide = context.measureText(text).width + (2.5 * PAD + TEXT * 0.7) * unit;
  const tall = LINE * unit;
  const lefts = [x - unit, x + across - wide].map((left) => Math.max(0, Math.min(left, width - wide)));
  const placed = (top) => lefts.map((left) => ({ text, expression, left, top, wide, tall }));
  const fits = ({ top }) => top >= 0 && top + tall <= height;
  const isFree = (place) => !taken.some((other) => meets(place, other));
  const below = y + high + (bars ? BAR + 6 : 3) * unit;
  const outside = [y - tall - 2 * unit, below].flatMap(placed).filter(fits);
  const inside = placed(y + 2 * unit);
  const free = (outside.length ? outside : inside).find(isFree);
  if (free) return { ...free, free: true };
  return inside.find((place) => fits(place) && isFree(place)) ?? outside[0] ?? inside[0];
}

function drawLabel(context, { text, expression, left, top, wide, tall }, looks, unit) {
  context.fillStyle = PLATE;
  context.fillRect(left, top, wide, tall);
  const middle = top + tall / 2;
  const swatch = TEXT * 0.7 * unit;
  context.fillStyle = looks.colours[expression];
  context.fillRect(left + PAD * unit, middle - swatch / 2, swatch, swatch);
  context.fillStyle = INK;
  context.fillText(text, left + 1.5 * PAD * unit + swatch, middle + unit);
}

function meets(one, other) {
  return (
    one.left < other.left + other.wide &&
    other.left < one.left + one.wide &&
    one.top < other.top + other.tall &&
    other.top < one.top + one.tall
  );
}
