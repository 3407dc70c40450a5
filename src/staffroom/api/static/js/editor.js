// The editor of one scenario: checked while it is written, kept on this device until it is saved.

import "./author.js";
import { announce, clone, debounce, fill, find, findAll, h, toast } from "./dom.js";
import { dropDraft, keepDraft, leftDrafts, setAside } from "./editor-drafts.js";
import { changes, form, payload, problemLinks, same, showErrors } from "./editor-form.js";
import { preview, showWishes } from "./editor-preview.js";
import { saver } from "./editor-save.js";
import { continueSteps } from "./editor-steps.js";
import { leave } from "./flash.js";
import { moment } from "./moment.js";
import { t } from "./texts.js";

const LANGUAGE_CODE = /^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$/;
const KEEP_PAUSE = 500;

const root = document.getElementById("editor");
const state = document.getElementById("state");
const failed = document.getElementById("failed");
const reason = document.getElementById("f-reason");

const fields = form(root, changed);
const source = {
  id: root.dataset.id,
  revision: Number(root.dataset.revision),
  status: root.dataset.status,
  base: fields.read(),
};
const { save } = saver(source, takeTheirs);
const touched = new Set();
let serverErrors = [];
let hasTried = false;
let isLeaving = false;

const isDirty = () => !same(fields.read(), source.base);

// What is wrong

const hasLanguage = ({ language }) => LANGUAGE_CODE.test(language);

function ownErrors(values) {
  const errors = [];
  if (!values.description) errors.push({ field: "description", reason: "is missing" });
  if (!hasLanguage(values)) errors.push({ field: "language", reason: "is no code" });
  return errors;
}

function errorsNow() {
  const own = ownErrors(fields.read());
  const others = serverErrors.filter(({ field }) => !own.some((error) => error.field === field));
  return [...own, ...others];
}

function showErrorsNow() {
  const errors = errorsNow();
  showErrors(hasTried ? errors : errors.filter(({ field }) => touched.has(field)));
}

// What is found

const check = preview(draft, (errors) => {
  serverErrors = errors;
  showErrorsNow();
});

function draft() {
  const values = fields.read();
  if (!values.description && !values.name && !values.example_questions.length) return null;
  const body = { ...payload(values), language: hasLanguage(values) ? values.language : "" };
  return source.id ? { ...body, scenario_id: source.id } : body;
}

// What was typed

const keepSoon = debounce(keepNow, KEEP_PAUSE);

function keepNow() {
  if (isLeaving) return;
  if (isDirty()) keepDraft(source, toKeep());
  else dropDraft();
}

const toKeep = () => (source.id ? changes(fields.read(), source.base) : fields.read());

/** What the server said of a field holds no longer once that is changed. */
function changed(name) {
  serverErrors = serverErrors.filter(({ field }) => field.split(".")[0] !== name);
  showState();
  keepSoon();
  check.later();
}

function showState() {
  const text = t(isDirty() ? "editor.state.dirty" : "editor.state.clean");
  if (state.textContent !== text) state.textContent = text;
  showWishes(fields.read());
}

function offerDrafts() {
  const now = fields.read();
  const left = leftDrafts(source.id).filter((draft) => !same({ ...now, ...draft.changes }, now));
  document.getElementById("offers").replaceChildren(...left.slice(0, 3).map(offer));
}

function offer({ form: name, at, revision, changes: kept }) {
  const when = moment(at);
  const labels = Object.keys(kept).map((field) => t(`editor.field.${field}`));
  const what = kept.name || kept.description?.slice(0, 80) || labels.join(", ");
  const shown = fill(clone("offer-template"), {
    text: t("editor.restore.text", { when, what }),
    older: revision < source.revision ? t("editor.restore.older") : null,
  });
  find("[data-restore]", shown).addEventListener("click", () => {
    if (isDirty()) setAside(source, toKeep());
    fields.write(kept);
    keepNow();
    dropDraft(name);
    end("editor.restored");
    changed();
  });
  find("[data-discard]", shown).addEventListener("click", () => {
    dropDraft(name);
    end("editor.discarded");
  });
  function end(text) {
    offerDrafts();
    toast(t(text));
    find("#f-name").focus();
  }
  return shown;
}

function takeTheirs(theirs, merged) {
  setAside(source, changes(merged, theirs));
  fields.write(theirs);
  source.base = fields.read();
  dropDraft();
  offerDrafts();
  toast(t("editor.conflict.taken"));
  changed();
  setTimeout(() => find("#offers button")?.focus());
}

// Saving

let mine = source.base;
let isSaving = false;

async function saveAs(status) {
  if (isSaving) return;
  mine = fields.read();
  hasTried = true;
  showErrorsNow();
  const errors = errorsNow();
  if (errors.length) {
    showFailed(errors);
    return;
  }
  setSaving(true);
  failed.hidden = true;
  try {
    await saved(status, await save(mine, status || source.status, reason?.value.trim()));
  } catch (error) {
    showProblem(error, status);
  } finally {
    setSaving(false);
  }
}

function saved(status, stored) {
  if (!stored) {
    if (!isDirty() && same(mine, source.base)) toast(t("editor.unchanged"));
    return;
  }
  isLeaving = true;
  dropDraft();
  leave(t(`editor.saved.${status || "keep"}`));
  location.assign(`/library/${stored.id}`);
}

function setSaving(is) {
  isSaving = is;
  root.setAttribute("aria-busy", String(is));
  for (const button of findAll("[data-save]", root)) {
    button.setAttribute("aria-disabled", String(is));
  }
  if (is) state.textContent = t("editor.saving");
  else showState();
}

function showFailed(errors, slots = {}) {
  const count = errors.length;
  const title = count ? t("editor.failed", { count }) : t("editor.not_saved");
  const empty = { advice: null, kept: null, actions: null };
  fill(failed, { ...empty, title, problems: problemLinks(errors), ...slots });
  failed.hidden = false;
  failed.focus();
  announce(title);
}

function showProblem(error, status) {
  keepNow();
  if (!("advice" in error)) throw error;
  if (error.status === 422 && error.errors.length) {
    serverErrors = error.errors;
    showErrorsNow();
    showFailed(error.errors);
    return;
  }
  const isDeleted = error.status === 404;
  showFailed([], {
    advice: isDeleted ? t("editor.failed.deleted") : error.advice,
    kept: t("editor.failed.kept"),
    actions: isDeleted ? [again("editor.failed.as_new", status)] : [signIn(error), retry(status)],
  });
}

const retry = (status) => again("common.retry", status);

/** Saves once more; what the library no longer has is saved as a new scenario. */
function again(key, status) {
  const onClick = () => {
    if (key === "editor.failed.as_new") source.id = "";
    saveAs(status);
  };
  return h("button", { class: "button button-small", type: "button", onClick }, t(key));
}

function signIn({ status }) {
  if (status !== 401) return "";
  const properties = { class: "button button-small", href: "/sign-in", target: "_blank" };
  return h("a", { ...properties, rel: "noopener" }, t("editor.failed.sign_in"));
}

// Beginning and end

for (const button of findAll("[data-save]", root)) {
  button.addEventListener("click", () => saveAs(button.dataset.save));
}
root.addEventListener("focusout", (event) => {
  const name = event.target.id?.replace(/^f-/, "");
  if (!name || event.target.closest("[data-save]")) return;
  touched.add(event.target.closest("#questions") ? "example_questions" : name);
  showErrorsNow();
});
document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "s" || !(event.ctrlKey || event.metaKey) || event.altKey) return;
  event.preventDefault();
  saveAs(source.id ? "" : "draft");
});
addEventListener("pagehide", keepNow);
addEventListener("pageshow", ({ persisted }) => {
  if (persisted && isLeaving) location.reload();
});
addEventListener("beforeunload", (event) => {
  if (isDirty() && !isLeaving) event.preventDefault();
});

continueSteps(document.getElementById("f-expected_response"));
showState();
offerDrafts();
check.now();
