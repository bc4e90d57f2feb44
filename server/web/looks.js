// How the expressions look: names, colours and order come from the server; the patterns are assigned by
// that order, so that expressions are distinguishable without colour vision. style.css draws the same.

const SIZE = 8; // CSS pixels

// Strokes over one tile of SIZE x SIZE: [x1, y1, x2, y2], or [x, y] for a dot.
const TILES = [
  [[-2, 10, 10, -2]],
  [[2, 2], [6, 6]],
  [[-2, -2, 10, 10]],
  [[-2, 10, 10, -2], [-2, -2, 10, 10]],
  [],
  [[0, 2, 8, 2], [0, 6, 8, 6]],
  [[2, 0, 2, 8], [6, 0, 6, 8]],
];

/** Names, colours and canvas patterns of the expressions, in the server's order. */
export class Looks {
  constructor(labels, colours) {
    this.labels = labels;
    this.colours = colours;
    this.patterns = new Map();
    labels.forEach((label, index) => {
      document.documentElement.style.setProperty(`--expression-${index}`, colours[label]);
    });
  }

  /** Index of an expression in the order; its look is the CSS class `look-N`. */
  index(label) {
    return this.labels.indexOf(label);
  }

  /** A canvas fill for an expression, sharp on this screen. */
  pattern(context, label) {
    const ratio = sharp(1);
    const key = `${label} ${ratio}`;
    if (!this.patterns.has(key)) {
      const tile = drawTile(this.colours[label], TILES[this.index(label)] ?? [], ratio);
      const pattern = context.createPattern(tile, "repeat");
      pattern.setTransform(new DOMMatrix().scale(1 / ratio));
      this.patterns.set(key, pattern);
    }
    return this.patterns.get(key);
  }
}

/** Seven rows of name, bar and per cent; `update` changes them. */
export class Bars {
  constructor(looks) {
    this.element = document.createElement("ul");
    this.element.className = "bars";
    this.rows = looks.labels.map((label, index) => {
      const row = make("li", "");
      const name = make("span", "bar-name", label);
      const track = make("span", "bar-track");
      const fill = make("span", `bar-fill look-${index}`);
      const value = make("span", "bar-value");
      track.setAttribute("aria-hidden", "true");
      track.append(fill);
      row.append(name, track, value);
      this.element.append(row);
      return { label, row, fill, value };
    });
  }

  update(probabilities, winner) {
    for (const { label, row, fill, value } of this.rows) {
      const share = probabilities[label] ?? 0;
      fill.style.setProperty("--share", `${(100 * share).toFixed(1)}%`);
      const text = percent(share);
      if (value.textContent !== text) value.textContent = text;
      row.classList.toggle("winner", label === winner);
    }
  }
}

/** The seven shares side by side in one line; `update` changes them. */
export class StackedBar {
  constructor(looks) {
    this.element = make("span", "stack");
    this.element.setAttribute("aria-hidden", "true");
    this.parts = looks.labels.map((label, index) => {
      const part = make("span", `stack-part look-${index}`);
      this.element.append(part);
      return { label, part };
    });
  }

  update(probabilities) {
    for (const { label, part } of this.parts) {
      const text = `${(100 * (probabilities[label] ?? 0)).toFixed(1)}%`;
      part.style.setProperty("--share", text);
    }
  }
}

/** The expression with the largest share. */
export function leader(probabilities) {
  return Object.entries(probabilities).reduce((best, one) => (one[1] > best[1] ? one : best))[0];
}

/** A face's label, or "changing" while another expression has the longest bar. */
export function labelOf({ expression, probabilities }) {
  return leader(probabilities) === expression ? expression : "changing";
}

/** Why a face's image is poor, by its `quality`. */
export const REASONS = {
  dark: "too dark",
  flat: "too little contrast",
  small: "too small",
  blurred: "blurred",
  cut: "cut off",
};

/** Why a face is uncertain, in a word or two. */
export function reasonOf({ quality }) {
  return REASONS[quality] ?? "uncertain";
}

/** 0.873 -> "87 %" with a narrow no-break space. */
export function percent(share) {
  return `${Math.round(100 * share)}\u202f%`;
}

/** The least whole number of pixels that shows a length in CSS pixels sharply: at least twice as many. */
export function sharp(length) {
  return Math.ceil(length * Math.max(2, devicePixelRatio || 1));
}

/** Creates an element with a class and a text. */
export function make(tag, className, text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

function drawTile(colour, strokes, ratio) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = ratio * SIZE;
  const context = tile.getContext("2d");
  context.scale(ratio, ratio);
  context.fillStyle = colour;
  context.fillRect(0, 0, SIZE, SIZE);
  context.strokeStyle = context.fillStyle = "rgb(0 0 0 / 45%)";
  context.lineWidth = 1.4;
  for (const stroke of strokes) {
    context.beginPath();
    if (stroke.length === 2) {
      context.arc(stroke[0], stroke[1], 1.3, 0, 2 * Math.PI);
      context.fill();
    } else {
      context.moveTo(stroke[0], stroke[1]);
      context.lineTo(stroke[2], stroke[3]);
      context.stroke();
    }
  }
  return tile;
}
