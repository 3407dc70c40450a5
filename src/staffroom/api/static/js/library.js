// The library: found while one types, filtered without leaving, continued in place.

import { Problem, swap } from "./api.js";
import { announce, clone, debounce, fill, find, findAll } from "./dom.js";
import "./flash.js";
import { keep, recall } from "./storage.js";
import { t } from "./texts.js";

const PARTS = ["facets", "filter-count", "filters-show", "export-panel", "results"];

const form = find("#library-form");
const field = find("#q");
let running = null;

/** The address of what the form asks for; published ones are what it shows unless told. */
function address() {
  const asked = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (value.trim()) asked.append(name, value.trim());
  }
  const statuses = asked.getAll("status");
  if (statuses.length === 1 && statuses[0] === "published") asked.delete("status");
  return asked.size ? `${form.action}?${asked}` : form.action;
}

/** Shows what is found at an address, and makes it the address of this page. */
async function show(path) {
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  busy(true);
  const slow = setTimeout(() => announce(t("library.search.running")), 1000);
  try {
    const page = await library(path, { signal });
    const place = noted();
    for (const id of PARTS) document.getElementById(id).replaceWith(page.getElementById(id));
    restore(place);
    history.replaceState(null, "", path);
    say();
  } catch (error) {
    if (error.name === "AbortError") return;
    tell(error, () => show(path));
  } finally {
    clearTimeout(slow);
  }
  if (!signal.aborted) busy(false);
}

/** The library at an address. Whoever is signed out by now is sent where they can sign in. */
async function library(path, options) {
  const page = await swap(path, [], options);
  if (!page.getElementById("results")) {
    location.assign(path);
    throw new Problem({ status: 401 });
  }
  return page;
}

function busy(is) {
  form.setAttribute("aria-busy", String(is));
  find("#results").setAttribute("aria-busy", String(is));
}

/** Where the reader is in what is about to be replaced. */
function noted() {
  const { activeElement: active } = document;
  const within = active?.closest(PARTS.map((id) => `#${id}`).join());
  return {
    open: findAll("#facets details[open]").map((details) => details.id),
    lost: Boolean(within),
    name: within && active.name,
    value: within && active.value,
  };
}

function restore({ open, lost, name, value }) {
  for (const id of open) find(`#${id}`)?.setAttribute("open", "");
  if (!lost) return;
  const same = name && findAll(`#facets [name="${name}"]`).find((input) => input.value === value);
  const target = same || find("#result-count");
  if (same) same.closest("details")?.setAttribute("open", "");
  target.focus({ preventScroll: true });
}

const say = debounce(() => announce(find("#result-count").textContent.trim()), 600);

function tell(error, retry) {
  if (!(error instanceof Problem)) throw error;
  find(".results-problem")?.remove();
  const note = fill(clone("problem-template"), { advice: error.advice });
  find("[data-retry]", note).addEventListener("click", () => {
    note.remove();
    retry();
  });
  find("#results").prepend(note);
}

/** What follows is put below, and the reader goes on where it begins. */
async function more(link) {
  link.setAttribute("aria-busy", "true");
  try {
    const page = await library(link.href);
    if (!link.isConnected) return;
    const entries = [...page.querySelectorAll("#entries > li")];
    find("#entries").append(...entries);
    find("#more").replaceWith(page.getElementById("more"));
    entries[0]?.querySelector("a").focus({ preventScroll: true });
    announce(t("library.more.shown", { count: entries.length }));
  } catch (error) {
    link.removeAttribute("aria-busy");
    tell(error, () => more(link));
    find(".results-problem").scrollIntoView({ block: "nearest" });
  }
}

const search = debounce(() => show(address()), 150);

field.addEventListener("input", search);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  show(address());
});
document.addEventListener("change", (event) => {
  if (event.target.form === form && event.target.type === "checkbox") show(address());
});
document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-browse], #more-link");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (link.id === "more-link") more(link);
  else show(link.href);
});

// A browser that goes back may have kept what was typed: then it is what is asked for.
if (field.value.trim() !== (new URLSearchParams(location.search).get("q") ?? "").trim()) search();

// The key that goes to the search, unless somebody types, and unless it is switched off here.
const shortcut = find("#shortcut");
shortcut.checked = recall("library.shortcut", true);
function showShortcut() {
  find("#shortcut-hint").classList.toggle("is-off", !shortcut.checked);
}
showShortcut();
shortcut.addEventListener("change", () => {
  keep("library.shortcut", shortcut.checked);
  showShortcut();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!shortcut.checked || event.target.closest("input:not([type=checkbox]), textarea, select")) return;
  event.preventDefault();
  field.focus();
  field.select();
});

// The menu closes when the reader turns elsewhere; the sheet begins at its title.
const menu = find("#export");
document.addEventListener("click", (event) => {
  if (!menu.contains(event.target)) menu.open = false;
});
menu.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !menu.open) return;
  menu.open = false;
  find("summary", menu).focus();
});
menu.addEventListener("focusout", (event) => {
  if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
});
find("#filters").addEventListener("toggle", (event) => {
  if (event.newState === "open") find("#filters-title").focus();
});
