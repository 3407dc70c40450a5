// One scenario and its history: steps of its status, deleting, restoring; each on what was read.

import "./author.js";
import { Problem, request, swap } from "./api.js";
import { fill, find, findAll, toast } from "./dom.js";
import { leave } from "./flash.js";
import { moment } from "./moment.js";
import { t } from "./texts.js";

const shown = () => find("#scenario").dataset;
const place = () => `/api/v1/scenarios/${shown().id}`;
const ground = () => ({ "If-Match": `"${shown().revision}"` });

/** The times of the page, on the reader's own clock. */
function localTimes() {
  for (const element of findAll("time[data-time]")) element.textContent = moment(element.dateTime);
}

/** What is stored by now takes the place of what is shown. */
async function reload(message) {
  await swap(location.pathname + location.search, ["scenario"]);
  localTimes();
  (find("#status-title") ?? find("h1")).focus();
  toast(message);
}

/** Does the work of a dialog once; says in the dialog why it did not work. */
async function attempt(dialog, work) {
  const buttons = findAll("button", dialog);
  const failure = find("[data-failure]", dialog);
  failure.textContent = "";
  for (const button of buttons) button.disabled = true;
  try {
    await work();
    dialog.close();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.status === 412) conflict(dialog);
    else failure.textContent = error.status === 404 ? t("scenario.gone") : error.advice;
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

function conflict(dialog) {
  dialog.close();
  const text = t("scenario.conflict.text", { revision: shown().revision });
  fill(find("#conflict"), { conflict: text }).showModal();
}

function move(form) {
  const status = form.dataset.step;
  const body = { status, reason: new FormData(form).get("reason").trim() };
  return attempt(form.closest("dialog"), async () => {
    await request(place(), { method: "PATCH", body, headers: ground() });
    await reload(t(`scenario.moved.${status}`));
  });
}

function remove() {
  return attempt(find("#delete"), async () => {
    await request(place(), { method: "DELETE", headers: ground() });
    leave(t("scenario.deleted", { name: shown().name }));
    location.assign("/library");
  });
}

/** The revision's content becomes the newest; its status does not: that has steps of its own. */
function restore(revision) {
  return attempt(find("#restore"), async () => {
    const reason = find("#restore-reason").value.trim();
    const body = { revision, reason: reason || t("history.restore.reason", { revision }) };
    await request(`${place()}/restore`, { method: "POST", body, headers: ground() });
    leave(t("history.restored", { revision }));
    location.assign(`/library/${shown().id}`);
  });
}

function askToRestore(revision) {
  const dialog = fill(find("#restore"), {
    title: t("history.restore.title", { revision }),
    text: t("history.restore.text", { revision }),
  });
  find("[data-failure]", dialog).textContent = "";
  dialog.dataset.revision = revision;
  dialog.showModal();
}

async function copyLink() {
  const address = location.origin + location.pathname;
  try {
    await navigator.clipboard.writeText(address);
    toast(t("scenario.copied"));
  } catch {
    toast(t("scenario.copy.failed", { address }));
  }
}

const actions = {
  "[data-open]": (button) => {
    const dialog = find(`#${button.dataset.open}`);
    find("[data-failure]", dialog).textContent = "";
    dialog.showModal();
  },
  "[data-close]": (button) => button.closest("dialog").close(),
  "#delete-confirm": remove,
  "#retire-instead": () => {
    find("#delete").close();
    find("#step-retired").showModal();
  },
  "#load-newest": async (button) => {
    button.closest("dialog").close();
    location.reload();
  },
  "#copy-link": copyLink,
  "#print": () => window.print(),
};

document.addEventListener("click", (event) => {
  for (const [selector, act] of Object.entries(actions)) {
    const found = event.target.closest(selector);
    if (found) act(found);
  }
});
document.addEventListener("submit", (event) => {
  const form = event.target;
  const act = form.dataset.step
    ? move
    : form.dataset.restore
      ? () => askToRestore(Number(form.dataset.restore))
      : form.id === "restore-form"
        ? () => restore(Number(form.closest("dialog").dataset.revision))
        : null;
  if (!act) return;
  event.preventDefault();
  act(form);
});
localTimes();
