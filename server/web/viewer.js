// The viewer: follows one camera at a time and decides what the visitor is shown and told.

import { adviceFor, coverFor } from "./advice.js";
import { getCameras, getSnapshot } from "./api.js";
import { Cards } from "./cards.js";
import { offerFullscreen } from "./controls.js";
import { Looks } from "./looks.js";
import {
  $, controls, feed, makePhotos, notice, statusLine, streamView, switcher, toast, veil, visitor,
} from "./parts.js";
import { fileName, Recorder, save } from "./recorder.js";
import { isDark, onTheme, switchTheme } from "./theme.js";
import { Timeline } from "./timeline.js";

const POLL_MS = 4000; // of the other cameras' states
const ATTEMPTS_MS = 1500; // to begin, while the server does not answer
const PATIENCE_MS = 800; // before the page says that it is connecting
const ASK_WHY_AFTER = 4; // failed attempts
const HIDDEN_MS = 10000; // then a page in the background gives its place among the viewers back

const query = new URLSearchParams(location.search);
let cameras = []; // as the server last told
let current = null; // the name of the one that is watched
let cards, timeline, recorder; // made when the server has told the labels
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
  wireVisibility();
  coverSoon();
  const known = await firstAnswer();
  const looks = new Looks(known.labels, known.colours);
  controls.uncertainBelow = known.uncertain_below;
  operator = known.role === "operator";
  controls.allow(operator);
  cards = new Cards({ list: $("cards"), empty: $("cards-empty"), count: $("faces-count") }, looks);
  timeline = new Timeline({ canvas: $("timeline-canvas"), count: $("past-count") }, looks);
  recorder = new Recorder(known.labels);
  makePhotos(looks);
  onTheme(() => timeline.draw());
  cameras = known.cameras;
  const asked = cameras.find(({ name }) => name === query.get("camera"));
  const first = asked ?? cameras.find(({ status }) => status === "live") ?? cameras[0];
  if (first) watch(first.name);
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
  query.set("camera", name);
  history.replaceState(null, "", `?${query}`);
  lost = false;
  lastNumber = 0;
  cards.clear();
  timeline.clear();
  statusLine.clear();
  streamView.show(null);
  coverSoon();
  feed.follow(name);
  show();
}

/** Brings everything that depends on the cameras' states up to date. */
function show() {
  const camera = watched();
  switcher.show(cameras, current);
  $("visitor").hidden = !operator || !ofKind("browser");
  if (!camera) return;
  document.title = `${camera.name} \u2013 fer_jax live`;
  controls.show(camera);
  cards.follow(camera);
  showImage(camera);
  statusLine.camera(camera, { lost });
  if (lost) return;
  const { text, offers, calm } = adviceFor(camera, cameras, visitor);
  notice.say(text, { actions: offers.filter(allowed).map(action), calm });
  const cover = coverFor(camera, visitor);
  if (cover) coverNow(cover.title, cover.text, cover.offer);
  else if (streamView.image) uncover();
}

function showImage(camera) {
  const wanted = camera.controls.privacy !== "no_picture" && !hiddenForLong;
  if (!wanted) streamView.show(null);
  else if (!streamView.address) streamView.show(camera.stream, { alt: `Live image of ${camera.name}` });
}

function wireButtons() {
  $("theme").addEventListener("click", switchTheme);
  onTheme(() => $("theme").setAttribute("aria-pressed", String(isDark())));
  offerFullscreen($("fullscreen"), $("stage"), (text) => toast.say(text));
  $("visitor").addEventListener("click", () =>
    visitor.state === "off" ? useVisitor() : visitor.stop(),
  );
  $("snapshot").addEventListener("click", saveSnapshot);
  $("export").addEventListener("click", exportEvents);
  switcher.addEventListener("pick", ({ detail }) => watch(detail));
  controls.addEventListener("changed", ({ detail }) => replace(detail));
  controls.addEventListener("refused", ({ detail }) => toast.say(detail));
  visitor.addEventListener("changed", showVisitor);
  streamView.addEventListener("shown", () => {
    document.documentElement.style.setProperty("--aspect", streamView.aspect.toFixed(4));
    show();
  });
}

function wireFeed() {
  feed.addEventListener("open", () => {
    if (!lost) return;
    lost = false;
    lastNumber = 0; // a server that was started again counts from 1
    streamView.reopen("back", watched().stream);
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
    streamView.noteResult();
    cards.show(detail.faces);
    timeline.add(detail.faces);
    recorder.add(detail);
    statusLine.analysis(detail);
    if ($("export").disabled && recorder.rows.length) $("export").disabled = false;
  });
}

/** Says that the server is gone, and until when. */
function tellLost(text) {
  lost = true;
  coverNow("The server does not answer", text, "retry");
  notice.say("Connection lost; reconnecting by itself");
  statusLine.camera(watched(), { lost });
}

/** Says that frames have grown old; the last one stays in sight. */
function tellStale() {
  lost = true;
  notice.say("Frames have grown old; reconnecting");
  statusLine.camera(watched(), { lost });
}

/** Asks in another way: an event stream that is refused does not tell why. */
async function askWhy() {
  try {
    await getCameras(); // leads to the login page where the session has ended
    if (lost) coverNow("The server has no room", "Too many viewers; trying again by itself.", "retry");
  } catch (error) {
    if (lost && error.status) coverNow("The server refuses", error.message, "retry");
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
  if (current !== name) watch(name);
  visitor.start(name);
}

function showVisitor() {
  const on = visitor.state !== "off";
  $("visitor").classList.toggle("on", on);
  const text = on ? "Stop my camera" : "Use this browser's camera";
  $("visitor-text").textContent = $("visitor").title = text;
  show();
}

async function saveSnapshot() {
  const { name, snapshot } = watched();
  try {
    save(await getSnapshot(snapshot), fileName(name, "jpg"));
    toast.say("Snapshot saved by your browser.");
  } catch (error) {
    toast.say(error.message);
  }
}

function exportEvents() {
  save(new Blob([recorder.csv()], { type: "text/csv" }), fileName("faces", "csv"));
  const dropped = recorder.forgotten ? `; the ${recorder.forgotten} oldest were let go` : "";
  toast.say(`${recorder.rows.length} rows exported${dropped}.`);
}

/** Whether the visitor may do what is offered. */
function allowed(offer) {
  return operator || offer !== "visitor";
}

/** What an offer's button says and does. */
function action(offer) {
  if (offer === "visitor") return ["Use this browser's camera", useVisitor];
  if (offer === "demo") return ["Watch the demo", () => watch(ofKind("demo").name)];
  return ["Try now", () => feed.retry()];
}

/** Covers the image in a moment, unless there is something to show by then. */
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
