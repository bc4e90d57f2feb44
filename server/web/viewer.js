// The viewer: shows one camera at a time and decides what the visitor sees.

import { adviceFor, coverFor } from "./advice.js";
import { getCameras, signOut } from "./api.js";
import { Cards } from "./cards.js";
import { offerFullscreen } from "./controls.js";
import { listen } from "./keys.js";
import { Looks } from "./looks.js";
import {
  $, controls, feed, makePhotos, notice, stage, statusLine, streamView, switcher, toast, veil, visitor, wall,
} from "./parts.js";
import { Recorder } from "./recorder.js";
import { exportEvents, saveImage } from "./saving.js";
import { isDark, onTheme, switchTheme } from "./theme.js";
import { Timeline } from "./timeline.js";

const POLL_MS = 4000; // of the other cameras' states
const ATTEMPTS_MS = 1500; // between first attempts, while the server does not respond
const PATIENCE_MS = 800; // before the page shows that it is connecting
const ASK_WHY_AFTER = 4; // failed attempts
const HIDDEN_MS = 10000; // then a page in the background frees its place among the viewers

const query = new URLSearchParams(location.search);
let cameras = []; // as the server last reported them
let current = null; // the name of the camera shown
let cards, timeline, recorder; // created once the labels are known
let operator = false; // viewers may not change what others see
let lost = false;
let hiddenForLong = false;
let lastNumber = 0;
let patience = 0;

const watched = () => cameras.find(({ name }) => name === current);
const ofKind = (kind) => cameras.find((camera) => camera.kind === kind);

async function begin() {
  document.body.classList.toggle("embed", query.get("embed") === "1");
  wireButtons();
  wireFeed();
  wireStage();
  wireVisibility();
  coverSoon();
  const known = await firstAnswer();
  const looks = (stage.looks = new Looks(known.labels, known.colours));
  controls.uncertainBelow = known.uncertain_below;
  operator = known.role === "operator";
  controls.allow(operator);
  $("sign-out").hidden = !known.signed_in;
  cards = new Cards({ list: $("cards"), empty: $("cards-empty"), count: $("faces-count") }, looks);
  cards.addEventListener("hover", ({ detail }) => light(detail));
  cards.addEventListener("early", ({ detail }) => toast.say(detail));
  timeline = new Timeline({ canvas: $("timeline-canvas"), count: $("past-count") }, looks);
  recorder = new Recorder(known.labels, known.uncertain_below);
  makePhotos(looks);
  onTheme(() => timeline.draw());
  cameras = known.cameras;
  const asked = cameras.find(({ name }) => name === query.get("camera"));
  const first = asked ?? cameras.find(({ status }) => status === "live") ?? cameras[0];
  if (first) watch(first.name);
  if (query.get("wall") === "1") showWall(true);
  setInterval(poll, POLL_MS);
}

async function firstAnswer() {
  for (;;) {
    try {
      return await getCameras();
    } catch (error) {
      if (error.status !== 401) tellLost(error.message);
      await new Promise((done) => setTimeout(done, ATTEMPTS_MS));
    }
  }
}

/** Shows another camera. */
function watch(name) {
  current = name;
  remember("camera", name);
  lost = false;
  lastNumber = 0;
  cards.clear();
  timeline.clear();
  statusLine.clear();
  streamView.show(null);
  stage.clear();
  const { width, height } = watched();
  shape(height && width / height); // so that nothing moves when the first image arrives
  coverSoon();
  feed.follow(name);
  show();
}

/** Reserves space for an image with this ratio of width to height. */
function shape(aspect) {
  if (aspect) document.documentElement.style.setProperty("--aspect", aspect.toFixed(4));
}

function remember(name, value) {
  if (value) query.set(name, value);
  else query.delete(name);
  history.replaceState(null, "", `?${query}`);
}

/** Updates everything that depends on the cameras' states. */
function show() {
  const camera = watched();
  switcher.show(cameras, current);
  wall.follow(cameras);
  $("visitor").hidden = !operator || !ofKind("browser");
  $("wall-toggle").hidden = cameras.length < 2;
  if (!camera) return;
  document.title = `${camera.name} \u2013 fer_jax live`;
  controls.show(camera);
  cards.follow(camera);
  showImage(camera);
  $("badge").hidden = !(camera.controls.paused && stage.bitmap);
  showRecording(camera);
  statusLine.camera(camera, { lost });
  if (lost) return;
  const { text, offers, calm } = adviceFor(camera, cameras, visitor);
  notice.say(text, { actions: offers.filter(allowed).map(action), calm });
  const cover = coverFor(camera, visitor, { hasImage: Boolean(stage.bitmap) });
  if (cover) coverNow(cover.title, cover.text, cover.offer);
  else if (stage.bitmap) uncover();
}

/** Says on the image and at the foot of the page what is being recorded, to everybody. */
function showRecording(camera) {
  const recorded = cameras.filter(({ controls }) => controls.recording).map(({ name }) => name);
  $("recording").hidden = !camera.controls.recording;
  $("kept-nothing").hidden = recorded.length > 0;
  $("kept").hidden = recorded.length === 0;
  const names = recorded.join(", ");
  if ($("kept-names").textContent !== names) $("kept-names").textContent = names;
}

function showImage(camera) {
  const hidden = camera.controls.privacy === "no_picture";
  const wanted = !hidden && !hiddenForLong && !wall.shown;
  if (!wanted) streamView.show(null);
  else if (!streamView.address) streamView.show(camera.stream);
  const off = camera.kind === "browser" && camera.status === "missing";
  if ((hidden || off) && stage.bitmap) {
    stage.clear();
    cards.clearThumbnails();
  }
  stage.mirror(camera.controls.mirror);
  $("image").setAttribute("aria-label", `Live image of ${camera.name}`);
}

function wireButtons() {
  $("theme").addEventListener("click", switchTheme);
  onTheme(() => $("theme").setAttribute("aria-pressed", String(isDark())));
  offerFullscreen($("fullscreen"), $("stage"), (text) => toast.say(text));
  $("visitor").addEventListener("click", () =>
    visitor.state === "off" ? useVisitor() : visitor.stop(),
  );
  $("snapshot").addEventListener("click", () => saveImage(current));
  $("export").addEventListener("click", () => exportEvents(recorder));
  $("keys-open").addEventListener("click", () => $("keys").showModal());
  $("keys-close").addEventListener("click", () => $("keys").close());
  $("sign-out").addEventListener("click", () =>
    signOut().catch((error) => toast.say(error.message)),
  );
  $("wall-toggle").addEventListener("click", () => showWall(!wall.shown));
  wall.addEventListener("pick", ({ detail }) => pick(detail));
  switcher.addEventListener("pick", ({ detail }) => pick(detail));
  controls.addEventListener("changed", ({ detail }) => replace(detail));
  controls.addEventListener("refused", ({ detail }) => toast.say(detail));
  visitor.addEventListener("changed", showVisitor);
  listen(
    [
      [[" "], "Pause or resume", () => controls.toggle("paused")],
      [["M"], "Mirror", () => controls.toggle("mirror")],
      [["S"], "Save the image", () => saveImage(current)],
      [["R"], "Record or stop", () => controls.toggle("recording")],
      [["F"], "Full screen", () => $("fullscreen").click()],
      [["ArrowLeft", "ArrowUp"], "Previous camera", () => step(-1)],
      [["ArrowRight", "ArrowDown"], "Next camera", () => step(+1)],
      [["W"], "All cameras", () => cameras.length > 1 && showWall(!wall.shown)],
      [["?"], "These keys", () => $("keys").showModal()],
    ],
    $("keys"),
  );
}

function wireStage() {
  streamView.addEventListener("frame", ({ detail }) => stage.show(detail.bitmap, detail.result));
  stage.addEventListener("shown", () => {
    shape(stage.aspect);
    show();
  });
  stage.addEventListener("drawn", () => cards.drawThumbnails(stage));
  stage.addEventListener("hover", ({ detail }) => light(detail));
  for (const name of Object.keys(stage.shows)) {
    const box = $(`show-${name}`);
    box.checked = stage.shows[name];
    box.addEventListener("change", () => stage.choose(name, box.checked));
  }
}

/** Highlights a face's box and card. */
function light(track) {
  stage.light(track);
  cards.light(track);
}

function pick(name) {
  if (wall.shown) showWall(false);
  if (name !== current) watch(name);
}

function step(by) {
  const at = cameras.findIndex(({ name }) => name === current);
  if (cameras.length > 1) pick(cameras[(at + by + cameras.length) % cameras.length].name);
}

function showWall(shown) {
  wall.toggle(shown, cameras);
  document.body.classList.toggle("walled", shown);
  $("wall-toggle").setAttribute("aria-pressed", String(shown));
  remember("wall", shown ? "1" : "");
  show();
}

function wireFeed() {
  feed.addEventListener("open", () => {
    if (!lost) return;
    lost = false;
    lastNumber = 0; // a restarted server counts from 1
    streamView.reopen(watched().stream);
    toast.say("Connected again.");
    show();
  });
  feed.addEventListener("lost", ({ detail }) => {
    const seconds = Math.max(1, Math.round(detail.retryMs / 1000));
    if (detail.reason === "stale") tellStale();
    else tellLost(`Trying again in ${seconds} s\u2026`);
    if (detail.attempt === ASK_WHY_AFTER) askWhy();
  });
  feed.addEventListener("camera", ({ detail }) => replace(detail));
  feed.addEventListener("analysis", ({ detail }) => {
    if (detail.camera !== current || detail.number === lastNumber) return;
    lastNumber = detail.number;
    streamView.addResult(detail);
    cards.show(detail.faces, detail.fps);
    timeline.add(detail.faces, detail.fps);
    recorder.add(detail, watched().controls.threshold);
    if (!watched().controls.paused) statusLine.analysis(detail); // the last frame may come after the pause
    if ($("export").disabled && recorder.rows.length) $("export").disabled = false;
  });
}

/** Shows that the server cannot be reached, and when the next attempt is. */
function tellLost(text) {
  lost = true;
  coverNow("Can\u2019t reach the server", text, "retry");
  notice.say("Reconnecting\u2026");
  statusLine.camera(watched(), { lost });
}

/** Shows that no new frames arrive; the last one stays visible. */
function tellStale() {
  lost = true;
  notice.say("Video is delayed. Reconnecting\u2026");
  statusLine.camera(watched(), { lost });
}

/** Sends another request for the reason, because a refused event stream does not give one. */
async function askWhy() {
  try {
    await getCameras(); // redirects to the login page if the session has ended
    if (lost) coverNow("The server is full", "Too many viewers. Trying again\u2026", "retry");
  } catch (error) {
    if (lost && error.status) coverNow("The server refused", error.message, "retry");
  }
}

function wireVisibility() {
  let timer = 0;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    const set = (hidden) => {
      hiddenForLong = hidden;
      show();
    };
    if (document.hidden) timer = setTimeout(() => set(true), HIDDEN_MS);
    else {
      feed.retry();
      set(false);
    }
  });
}

async function poll() {
  if (document.hidden || lost) return;
  try {
    ({ cameras } = await getCameras());
    show();
  } catch (error) {
    if (error.code === "offline" && !lost) feed.giveUp("gone");
  }
}

function replace(camera) {
  cameras = cameras.map((other) => (other.name === camera.name ? camera : other));
  show();
}

function useVisitor() {
  const { name } = ofKind("browser");
  pick(name);
  visitor.start(name);
}

function showVisitor() {
  const on = visitor.state !== "off";
  $("visitor").classList.toggle("on", on);
  const text = on ? "Stop my camera" : "Use this browser's camera";
  $("visitor-text").textContent = $("visitor").title = text;
  show();
}

/** Whether the visitor may use an offer. */
function allowed(offer) {
  return operator || offer !== "visitor";
}

/** The label and the action of an offer's button. */
function action(offer) {
  if (offer === "visitor") return ["Use this browser's camera", useVisitor];
  if (offer === "demo") return ["Watch the demo", () => watch(ofKind("demo").name)];
  return ["Try now", () => feed.retry()];
}

/** Covers the image after a moment, unless there is something to show by then. */
function coverSoon() {
  clearTimeout(patience);
  patience = setTimeout(() => veil.show("Connecting\u2026"), PATIENCE_MS);
}

function coverNow(title, text, offer) {
  clearTimeout(patience);
  const [label, act] = offer && allowed(offer) ? action(offer) : ["", null];
  veil.show(title, text, { label, act });
}

function uncover() {
  clearTimeout(patience);
  veil.hide();
}

begin();
