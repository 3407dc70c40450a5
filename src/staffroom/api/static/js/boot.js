/* Runs before the first paint, so that no page flashes in the wrong theme. */
(() => {
  const root = document.documentElement;
  root.dataset.script = "";
  try {
    const chosen = localStorage.getItem("staffroom.theme");
    if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  } catch {
    /* Storage may be forbidden; then the system's theme is used. */
  }
})();
