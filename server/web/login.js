// The login form, sent without leaving the page so that a refusal is shown beside the field.
// Without JavaScript the form posts itself, and the server redirects to ?error=CODE.

const WRONG = "Wrong token.";
const form = document.getElementById("login");
const error = document.getElementById("login-error");
const field = document.getElementById("token");

if (new URLSearchParams(location.search).has("error")) error.textContent = WRONG;

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  error.textContent = "";
  try {
    const body = new URLSearchParams({ token: field.value });
    const response = await fetch("login", { method: "POST", body });
    if (response.ok) location.replace(target());
    else refuse(await reason(response));
  } catch {
    refuse("Can't reach the server.");
  }
});

/** The page that required the login, if it belongs to this server. */
function target() {
  const next = new URLSearchParams(location.search).get("next") ?? "./";
  const url = new URL(next, location.href);
  // The full address: a path such as "//host/x" alone would lead to another server.
  return url.origin === location.origin ? url.href : "./";
}

async function reason(response) {
  const wait = response.headers.get("Retry-After");
  if (response.status === 429) return `Too many attempts. Try again in ${wait ?? "60"} seconds.`;
  if (response.status === 401) return WRONG;
  try {
    return (await response.json()).error.message;
  } catch {
    return WRONG;
  }
}

function refuse(message) {
  error.textContent = message;
  field.select();
}
