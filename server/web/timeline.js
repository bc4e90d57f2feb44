// The last minute, one lane per face: colour, pattern and name show the expression, height the confidence.

import { make, percent } from "./looks.js";

const [LEAST_S, MOST_S] = [10, 60]; // the scale grows with what has been seen
const STEP_S = 0.1; // finer than a pixel of the lane needs no sample
const [GAP_S, GAP_FRAMES] = [1, 2.5]; // a face unseen for longer than both was out of view
const LASTED_S = 1; // a face seen for less loses its lane once it is gone
const MOST_LANES = 4;
const [HEIGHT, LANE_GAP, AXIS, GUTTER] = [122, 6, 20, 36]; // pixels
const LOWEST = 0.12; // of a lane's height, so that a face with confidence 0 is still visible
const REDRAW_MS = 100;
const TELL_MS = 5000; // the text for screen readers, which is not a live region

/** Draws itself while anything has been seen within the last minute. */
export class Timeline {
  constructor({ canvas, count }, looks) {
    this.canvas = canvas;
    this.count = count;
    this.context = canvas.getContext("2d");
    this.looks = looks;
    this.tracks = new Map();
    this.tip = make("p", "timeline-tip");
    this.tip.hidden = true;
    canvas.parentElement.append(this.tip);
    canvas.addEventListener("pointermove", ({ offsetX, offsetY }) => this.#point([offsetX, offsetY]));
    canvas.addEventListener("pointerleave", () => this.#point(null));
    this.clear();
    new ResizeObserver(() => this.draw()).observe(canvas.parentElement);
    setInterval(() => this.draw(), 250); // time passes without frames too
  }

  /** Records the faces of one frame of `fps` a second. */
  add(faces, fps, now = performance.now()) {
    this.gap = Math.max(GAP_S, fps > 0 ? GAP_FRAMES / fps : 0);
    this.beganAt ??= now / 1000;
    for (const face of faces) this.#note(face, now / 1000);
    if (now - this.drawnAt >= REDRAW_MS) this.draw(now);
  }

  /** Clears everything, for another camera. */
  clear() {
    this.tracks.clear();
    this.beganAt = null;
    this.pointed = null;
    this.gap = GAP_S;
    this.drawnAt = this.toldAt = -Infinity;
    this.draw();
  }

  /** Draws the recorded faces, at most a minute. */
  draw(now = performance.now()) {
    if (document.hidden) return;
    this.drawnAt = now;
    const seconds = now / 1000;
    this.#forget(seconds - MOST_S);
    this.span = Math.min(MOST_S, Math.max(LEAST_S, seconds - (this.beganAt ?? seconds)));
    this.lanes = this.#lanes(seconds);
    const width = this.canvas.parentElement.clientWidth;
    const rows = Math.max(this.lanes.length, 1);
    this.lane = Math.floor((HEIGHT - AXIS) / rows) - LANE_GAP;
    this.#resize(width);
    const style = getComputedStyle(this.canvas);
    const theme = { ink: style.color, line: style.borderTopColor, plate: style.outlineColor };
    const scale = (width - GUTTER) / this.span;
    const x = (time) => GUTTER + (time - seconds + this.span) * scale;
    this.context.font = `12px ${style.fontFamily}`;
    this.#axis(width, x, seconds, theme);
    this.lanes.forEach((track, n) => this.#lane(track, n * (this.lane + LANE_GAP), x, theme, width));
    this.#tip(seconds, width);
    if (now - this.toldAt > TELL_MS) this.#describe(this.lanes, now);
  }

  /** Numbers of the faces to show: those in view first, then those that were longest. */
  #lanes(now) {
    const inView = (samples) => now - samples.at(-1).to < this.gap;
    const weight = (samples) => (inView(samples) ? MOST_S : 0) + seen(samples);
    const tracks = [...this.tracks]
      .filter(([, samples]) => inView(samples) || seen(samples) >= LASTED_S)
      .map(([track, samples]) => [track, weight(samples)]);
    tracks.sort((a, b) => b[1] - a[1]);
    const text = tracks.length > MOST_LANES ? `${MOST_LANES} of ${tracks.length} faces` : "";
    if (this.count.textContent !== text) this.count.textContent = text;
    return tracks
      .slice(0, MOST_LANES)
      .map(([track]) => track)
      .sort((a, b) => a - b);
  }

  #point(at) {
    this.pointed = at;
    this.draw();
  }

  /** Shows a face's expression at the time under the pointer. */
  #tip(now, width) {
    this.tip.hidden = true;
    if (!this.pointed) return;
    const [x, y] = this.pointed;
    const track = this.lanes[Math.floor(y / (this.lane + LANE_GAP))];
    const time = now - this.span + ((x - GUTTER) / (width - GUTTER)) * this.span;
    const sample = this.tracks.get(track)?.findLast(({ from, to }) => from <= time && time <= to + STEP_S);
    if (!sample || x < GUTTER) return;
    const ago = Math.max(0, Math.round(now - time));
    const doubt = sample.uncertain ? " (uncertain)" : "";
    this.tip.textContent = `#${track} ${sample.expression} ${percent(sample.confidence)}${doubt}, ${ago} s ago`;
    this.tip.hidden = false;
    const left = Math.min(x, width - this.tip.offsetWidth);
    this.tip.style.setProperty("left", `${Math.max(0, left)}px`);
  }

  #note(face, time) {
    const samples = this.tracks.get(face.track) ?? [];
    if (!samples.length) this.tracks.set(face.track, samples);
    const { expression, confidence, uncertain } = face;
    const last = samples.at(-1);
    const same = last && last.expression === expression && last.uncertain === uncertain;
    if (same && time - last.from < STEP_S) last.to = time;
    else {
      if (last && time - last.to < this.gap) last.to = time;
      samples.push({ from: time, to: time, expression, confidence, uncertain });
    }
  }

  #forget(before) {
    for (const [track, samples] of this.tracks) {
      const kept = samples.findIndex((sample) => sample.to > before);
      if (kept > 0) samples.splice(0, kept);
      if (kept < 0) this.tracks.delete(track);
    }
  }

  #resize(width) {
    const ratio = devicePixelRatio || 1;
    const [wide, high] = [Math.round(width * ratio), Math.round(HEIGHT * ratio)];
    if (this.canvas.width !== wide || this.canvas.height !== high) {
      [this.canvas.width, this.canvas.height] = [wide, high];
      this.canvas.style.setProperty("height", `${HEIGHT}px`);
    }
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.context.clearRect(0, 0, width, HEIGHT);
  }

  #axis(width, x, now, { ink, line }) {
    const context = this.context;
    context.textBaseline = "alphabetic";
    const step = this.span <= 20 ? 5 : width < 420 && this.span > 30 ? 20 : 10;
    for (let ago = 0; ago <= this.span; ago += step) {
      const at = Math.round(x(now - ago)) - (ago ? 0 : 1);
      context.fillStyle = line;
      context.fillRect(at, 0, 1, HEIGHT - AXIS);
      context.fillStyle = ink;
      context.textAlign = ago === 0 ? "right" : "center";
      context.fillText(ago ? `${ago} s` : "now", ago ? at : width, HEIGHT - 4);
    }
  }

  #lane(track, top, x, theme, width) {
    const context = this.context;
    context.fillStyle = theme.ink;
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillText(`#${track}`, 0, top + this.lane / 2);
    context.save();
    context.beginPath();
    context.rect(GUTTER, top, width - GUTTER, this.lane);
    context.clip();
    context.fillStyle = theme.line;
    context.fillRect(GUTTER, top + this.lane - 1, width - GUTTER, 1);
    const samples = this.tracks.get(track);
    for (const run of runs(samples, ["expression", "uncertain"], this.gap)) this.#run(run, top + this.lane, x);
    for (const run of runs(samples, ["expression"], this.gap)) this.#name(run, top + this.lane, x, theme);
    context.restore();
  }

  #run(run, floor, x) {
    const context = this.context;
    const [left, right] = [x(run[0].from), x(run.at(-1).to)];
    context.beginPath();
    context.moveTo(left, floor);
    for (const sample of run) {
      const y = floor - Math.max(LOWEST, sample.confidence) * this.lane;
      context.lineTo(x(sample.from), y);
      context.lineTo(x(sample.to), y);
    }
    context.lineTo(right, floor);
    context.closePath();
    context.globalAlpha = run[0].uncertain ? 0.4 : 1;
    context.fillStyle = this.looks.pattern(context, run[0].expression);
    context.fill();
    context.globalAlpha = 1;
  }

  #name(run, floor, x, { ink, plate }) {
    const context = this.context;
    const { expression } = run[0];
    const [left, right] = [Math.max(x(run[0].from), GUTTER), x(run.at(-1).to)];
    const wide = context.measureText(expression).width;
    if (right - left < wide + 14 || this.lane < 17) return;
    context.fillStyle = plate;
    context.beginPath();
    context.roundRect(left + 3, floor - 17, wide + 8, 16, 4);
    context.fill();
    context.fillStyle = ink;
    context.textAlign = "left";
    context.fillText(expression, left + 7, floor - 8.5);
  }

  #describe(lanes, now) {
    this.toldAt = now;
    const summaries = lanes.map((track) => `face ${track} ${share(this.tracks.get(track))}`);
    const text = summaries.length ? `The last minute: ${summaries.join("; ")}` : "No face in the last minute";
    this.canvas.setAttribute("aria-label", text);
  }
}

/** Splits samples into runs without gaps in which the values of `keys` stay the same. */
function runs(samples, keys, gap) {
  const found = [];
  for (const sample of samples) {
    const last = found.at(-1)?.at(-1);
    const alike = last && keys.every((key) => last[key] === sample[key]);
    if (alike && sample.from - last.to < gap) found.at(-1).push(sample);
    else found.push([sample]);
  }
  return found;
}

function seen(samples) {
  return samples.reduce((sum, { from, to }) => sum + to - from, 0);
}

/** "happy 40 s, neutral 12 s" */
function share(samples) {
  const seconds = new Map();
  for (const { expression, from, to } of samples) {
    seconds.set(expression, (seconds.get(expression) ?? 0) + to - from);
  }
  return [...seconds]
    .sort((a, b) => b[1] - a[1])
    .map(([expression, sum]) => `${expression} ${Math.round(sum)} s`)
    .join(", ");
}
