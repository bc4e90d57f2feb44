// This browser's own camera: sends frames as JPEG over a WebSocket, each only after the server has taken the
// one before, so that nothing queues.

import { getCameras, sentence, socketAddress } from "./api.js";

const LONGER_SIDE = 640;
const JPEG_QUALITY = 0.8;
const ACK_WITHIN_MS = 8000;
const BACKOFF_MS = [500, 1000, 2000, 4000, 8000];
const POLICY_VIOLATION = 1008; // a refusal that a retry would meet again
const PATIENT_ATTEMPTS = 4; // the server frees the place of a disconnected visitor after five seconds

const DENIALS = {
  NotAllowedError: "The browser may not use the camera. Allow it beside the address and try again.",
  NotFoundError: "This device has no camera.",
  NotReadableError: "The camera is in use by another program.",
  OverconstrainedError: "The camera cannot deliver images of a usable size.",
};

/** Fires "changed" whenever `state` changes; `reason` is set if it turned off by itself. */
export class Visitor extends EventTarget {
  constructor() {
    super();
    this.state = "off"; // "asking", "connecting", "on"
    this.reason = "";
    this.camera = null;
    this.video = document.createElement("video");
    Object.assign(this.video, { muted: true, playsInline: true });
    this.canvas = document.createElement("canvas");
    this.attempt = 0;
    this.sent = 0;
  }

  /** Requests the camera and starts to send it as the server's camera with that name. */
  async start(camera) {
    if (this.state !== "off") return;
    this.camera = camera;
    this.#become("asking");
    try {
      this.video.srcObject = await openCamera();
      await this.video.play();
    } catch (error) {
      this.stop(DENIALS[error.name] ?? sentence(error.message || "the camera did not open"));
      return;
    }
    const [track] = this.video.srcObject.getVideoTracks();
    track.addEventListener("ended", () => this.stop("The camera was unplugged or switched off."));
    this.attempt = this.sent = 0;
    this.#connect();
  }

  /** Stops sending and releases the camera. */
  stop(reason = "") {
    clearTimeout(this.timer);
    for (const track of this.video.srcObject?.getTracks() ?? []) track.stop();
    this.video.srcObject = null;
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    this.#become("off", reason);
  }

  #become(state, reason = "") {
    this.state = state;
    this.reason = reason;
    this.dispatchEvent(new Event("changed"));
  }

  #connect() {
    this.#become("connecting");
    const address = socketAddress(`ws/camera?camera=${encodeURIComponent(this.camera)}`);
    const socket = new WebSocket(address);
    this.socket = socket;
    let refusal = "";
    let opened = false;
    socket.addEventListener("open", () => {
      opened = true;
      this.#send(socket);
    });
    socket.addEventListener("message", (event) => {
      const message = JSON.parse(event.data);
      if (message.type === "error") refusal = message.message;
      if (message.type === "ack") this.#acknowledged(socket);
    });
    socket.addEventListener("close", (event) => {
      clearTimeout(this.ackTimer);
      if (socket !== this.socket) return;
      if (event.code === POLICY_VIOLATION) this.stop(sentence(refusal || event.reason));
      else this.#again(socket, opened);
    });
  }

  async #again(socket, opened) {
    this.#become("connecting");
    const hopeless = !opened && (this.sent === 0 || this.attempt >= PATIENT_ATTEMPTS);
    if (hopeless && (await isTaken(this.camera)) && socket === this.socket) {
      this.stop("Another visitor is using this camera. Try again when they have left.");
    }
    if (socket !== this.socket) return;
    const wait = BACKOFF_MS[Math.min(this.attempt, BACKOFF_MS.length - 1)];
    this.attempt += 1;
    this.timer = setTimeout(() => this.#connect(), wait);
  }

  #acknowledged(socket) {
    clearTimeout(this.ackTimer);
    this.attempt = 0;
    this.sent += 1;
    if (this.state !== "on") this.#become("on");
    this.#whenNextFrame(() => this.#send(socket));
  }

  #whenNextFrame(send) {
    // A page in the background gets no frame callbacks; a few frames a second are still sent.
    if (document.hidden || !this.video.requestVideoFrameCallback) setTimeout(send, 100);
    else this.video.requestVideoFrameCallback(send);
  }

  async #send(socket) {
    if (socket !== this.socket || socket.readyState !== WebSocket.OPEN) return;
    const { videoWidth, videoHeight } = this.video;
    const scale = Math.min(1, LONGER_SIDE / Math.max(videoWidth, videoHeight));
    this.canvas.width = Math.round(videoWidth * scale);
    this.canvas.height = Math.round(videoHeight * scale);
    const { width, height } = this.canvas;
    this.canvas.getContext("2d").drawImage(this.video, 0, 0, width, height);
    const jpeg = await new Promise((done) => this.canvas.toBlob(done, "image/jpeg", JPEG_QUALITY));
    if (socket !== this.socket || socket.readyState !== WebSocket.OPEN || !jpeg) return;
    socket.send(jpeg);
    this.ackTimer = setTimeout(() => socket.close(), ACK_WITHIN_MS);
  }
}

/** Whether another visitor is sending: a refused WebSocket does not give the reason. */
async function isTaken(name) {
  try {
    const { cameras } = await getCameras();
    const camera = cameras.find((one) => one.name === name);
    return ["live", "starting", "stalled", "paused"].includes(camera?.status);
  } catch {
    return false; // the server is gone: it may come back
  }
}

function openCamera() {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error("browsers allow cameras only over https or on localhost");
  }
  const wanted = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };
  return navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
}
