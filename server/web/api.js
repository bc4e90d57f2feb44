// The server's HTTP interface as the page uses it: JSON in, JSON out, one kind of error.

const PATIENCE_MS = 8000;
const COMPILING_MS = 60000; // a first request may have to wait for compilation

/** A failed request; `message` is one line for people, `code` is stable, "offline" without a response. */
export class ApiError extends Error {
  constructor(message, { code, status = 0, retryAfter = null }) {
    super(message);
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** All cameras, the seven labels in order and their colours. */
export function getCameras() {
  return send("api/cameras").then((response) => response.json());
}

/** Ends this browser's session, and shows the page that starts another. */
export async function signOut() {
  await send("logout", { method: "POST" });
  location.assign("login");
}

/** Changes some of a camera's controls; resolves to the updated camera. */
export async function control(camera, changes) {
  const response = await send(`api/cameras/${encodeURIComponent(camera)}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(changes),
  });
  return response.json();
}

/** The body of a camera's plain stream; the signal ends it. */
export async function openStream(address, signal) {
  const url = `${address}${address.includes("?") ? "&" : "?"}plain=1`;
  const response = await fetch(url, { signal });
  if (!response.ok) throw await refusal(response);
  return response.body;
}

/** The address of a camera's newest annotated image, different each time to bypass caches. */
export function snapshotAddress(address) {
  return `${address}${address.includes("?") ? "&" : "?"}t=${Date.now()}`;
}

/** An image of the areas that support an expression of a paused face; `evidence` is false if none do. */
export async function getWhy(camera, track, expression) {
  const query = new URLSearchParams({ track, expression });
  const address = `api/cameras/${encodeURIComponent(camera)}/why?${query}`;
  const response = await send(address, {}, COMPILING_MS);
  const evidence = response.headers.get("X-Evidence") !== "none";
  return { image: await response.blob(), evidence };
}

/** Scores one image; resolves to its faces, with boxes in the image's pixels. */
export async function score(image) {
  const response = await send("api/score", {
    method: "POST",
    headers: { "Content-Type": image.type || "application/octet-stream" },
    body: image,
  });
  return (await response.json()).images[0];
}

/** The address of a WebSocket of this server; `path` is relative to the page, as all addresses are. */
export function socketAddress(path) {
  const address = new URL(path, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return address.href;
}

async function send(address, options = {}, patienceMs = PATIENCE_MS) {
  let response;
  try {
    response = await fetch(address, { ...options, signal: AbortSignal.timeout(patienceMs) });
  } catch (error) {
    const slow = error.name === "TimeoutError";
    throw new ApiError(slow ? "The server takes too long to respond." : "Can't reach the server.", {
      code: "offline",
    });
  }
  if (response.status === 401) signIn();
  if (!response.ok) throw await refusal(response);
  return response;
}

function signIn() {
  const here = location.pathname + location.search;
  location.assign(`login?next=${encodeURIComponent(here)}`);
}

async function refusal(response) {
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  const known = { status: response.status, retryAfter };
  try {
    const { error } = await response.json();
    return new ApiError(sentence(error.message), { ...known, code: error.code });
  } catch {
    const message = `The server answered ${response.status}.`;
    return new ApiError(message, { ...known, code: "unknown" });
  }
}

/** "the queue is full" -> "The queue is full."; addresses stay as they are. */
export function sentence(text) {
  if (!text) return "";
  const first = /^\w+:\/\//.test(text) ? text : text[0].toUpperCase() + text.slice(1);
  return /[.!?\u2026]$/.test(first) ? first : `${first}.`;
}
