// The theme follows the system until the reader chooses the other one; choosing back follows again.

import { find } from "./dom.js";

const KEY = "staffroom.theme";
const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");

const systemTheme = () => (system.matches ? "dark" : "light");
const shown = () => root.dataset.theme ?? systemTheme();

function choose(theme) {
  const follows = theme === systemTheme();
  if (follows) delete root.dataset.theme;
  else root.dataset.theme = theme;
  try {
    if (follows) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } catch {
    /* The choice then holds for this page. */
  }
  show();
}

function show() {
  find("#theme-switch")?.setAttribute("aria-pressed", String(shown() === "dark"));
}

find("#theme-switch")?.addEventListener("click", () => {
  choose(shown() === "dark" ? "light" : "dark");
});
system.addEventListener("change", show);
show();
