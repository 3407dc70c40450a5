// How good the search is: golden questions are added, promoted, removed and measured in place.

import { Problem, request, send, swap } from "./api.js";
import { readable } from "./chart.js";
import { announce, fill, find, findAll, toast } from "./dom.js";
import { newKey } from "./idempotency.js";
import { moment } from "./moment.js";
import { t } from "./texts.js";

const RIGHT = 2;

/** The section as the server shows it now. Where the reader was is replaced, so they go on at `focus`. */
async function reload(focus) {
  await swap(location.pathname + location.search, ["golden"]);
  prepare();
  find(focus)?.focus();
}

function prepare() {
  findAll("#golden figure[data-chart]").forEach(readable);
  for (const time of findAll("#golden time[data-time]")) time.textContent = moment(time.dateTime);
}

/** Does the work of a form once; says in the form, or in `place`, why it did not work. */
async function attempt(form, work, place = form) {
  const failure = find("[data-failure]", place);
  const buttons = findAll("button", place);
  if (failure) failure.hidden = true;
  for (const button of buttons) button.disabled = true;
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const told = form.matches("[data-add]") && error.status === 409
      ? t("golden.error.conflict")
      : error.advice;
    if (failure) fail(failure, told);
    else toast(told);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

function fail(failure, told) {
  failure.textContent = told;
  failure.hidden = false;
}

const write = (path, body, method = "POST") =>
  request(path, { method, body, headers: { "Idempotency-Key": newKey() } });

function run(form) {
  const running = find("[data-running]", form);
  return attempt(form, async () => {
    running.hidden = false;
    announce(t("golden.running"));
    try {
      await write("/api/v1/evaluations", {});
    } finally {
      running.hidden = true;
    }
    await reload("#golden-title");
    toast(t("golden.ran"));
  });
}

function add(form) {
  const data = new FormData(form);
  const question = data.get("question").trim();
  const chosen = data.getAll("scenario_id");
  const failure = find("[data-failure]", form);
  if (!question || !chosen.length) {
    fail(failure, t(question ? "golden.error.none" : "golden.error.empty"));
    find(question ? "#golden-find" : "#golden-question").focus();
    return undefined;
  }
  looking.abort();
  const relevant = chosen.map((scenario_id) => ({ scenario_id, grade: RIGHT }));
  return attempt(form, async () => {
    await write("/api/v1/golden", { question, relevant });
    await reload("#golden-list-title");
    toast(t("golden.added"));
  });
}

function promote(form) {
  const { interaction_id, scenario_id } = Object.fromEntries(new FormData(form));
  return attempt(form, async () => {
    await write(`/api/v1/interactions/${interaction_id}/golden`, { scenario_id });
    await reload("#golden-suggested-title");
    toast(t("golden.added"));
  });
}

function askToRemove(form) {
  const dialog = find("#golden-remove");
  const { textContent: question, lang } = find(".golden-question", form.closest("li"));
  find("[data-failure]", dialog).hidden = true;
  find("#golden-remove-text").lang = lang;
  dialog.dataset.golden = new FormData(form).get("golden_id");
  fill(dialog, { question }).showModal();
}

function remove(dialog) {
  return attempt(dialog, async () => {
    try {
      await write(`/api/v1/golden/${dialog.dataset.golden}`, undefined, "DELETE");
    } catch (error) {
      // Somebody else was quicker.
      if (error.status !== 404) throw error;
    }
    dialog.close();
    await reload("#golden-list-title");
    toast(t("golden.removed"));
  });
}

let looking = new AbortController();
let pause = 0;

/** A reader who has gone on to the boxes stays on the same one. */
function replaceCandidates(found) {
  const place = find("#golden-candidates");
  const box = place.contains(document.activeElement) && document.activeElement.value;
  place.replaceWith(found);
  if (box) findAll("[name=scenario_id]", found).find(({ value }) => value === box)?.focus();
}

/** What the question, or other words, find takes the place of what was found before. */
async function look() {
  clearTimeout(pause);
  looking.abort();
  looking = new AbortController();
  const { signal } = looking;
  const form = find("#golden [data-add]");
  const body = new FormData(form);
  const place = find("#golden-candidates");
  body.set("act", "find");
  place.setAttribute("aria-busy", "true");
  try {
    const headers = { Accept: "text/html" };
    const response = await send(form.action, { method: "POST", body, headers, signal });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const found = page.getElementById("golden-candidates");
    if (!found) throw new Problem({ status: 401 });
    replaceCandidates(found);
    const count = findAll("[name=scenario_id]", found).length;
    announce(count ? t("golden.choose.found", { count }) : t("golden.choose.nothing"));
  } catch (error) {
    if (error.name === "AbortError") return;
    place.removeAttribute("aria-busy");
    if (!(error instanceof Problem)) throw error;
    fail(find("[data-failure]", form), error.advice);
  }
}

function lookSoon() {
  clearTimeout(pause);
  pause = setTimeout(look, 350);
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.closest("#golden") || form.method === "dialog") return;
  event.preventDefault();
  if (form.matches("[data-run]")) run(form);
  else if (form.matches("[data-promote]")) promote(form);
  else if (form.matches("[data-remove]")) askToRemove(form);
  else if (event.submitter?.value === "find") look();
  else add(form);
});
document.addEventListener("input", (event) => {
  if (event.target.matches("#golden-question, #golden-find")) lookSoon();
});
document.addEventListener("change", (event) => {
  // The list that is on its way was asked for without this choice.
  const isChoice = event.target.matches("#golden [name=scenario_id]");
  if (isChoice && find("#golden-candidates").ariaBusy === "true") look();
});
document.addEventListener("click", (event) => {
  const dialog = event.target.closest("#golden-remove");
  if (!dialog) return;
  if (event.target.closest("[data-close]")) dialog.close();
  else if (event.target.closest("[data-confirm]")) remove(dialog);
});
prepare();
