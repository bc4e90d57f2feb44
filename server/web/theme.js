// Light or dark: the system's preference until the visitor chooses; stored in this browser.

const KEY = "fer-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

/** Whether the page is dark right now. */
export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : system.matches;
}

/** Switches to the other theme; choosing the system's preference follows the system again. */
export function switchTheme() {
  const dark = !isDark();
  if (dark === system.matches) forget();
  else choose(dark ? "dark" : "light");
  announce();
}

/** Calls `listener` now and whenever the theme has changed. */
export function onTheme(listener) {
  document.addEventListener("themechange", listener);
  listener();
}

function choose(theme) {
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Without storage the theme lasts until the page is closed.
  }
}

function forget() {
  delete document.documentElement.dataset.theme;
  try {
    localStorage.removeItem(KEY);
  } catch {
    // See above.
  }
}

function announce() {
  document.dispatchEvent(new Event("themechange"));
}

function remembered() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

const theme = remembered();
if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
system.addEventListener("change", announce);
