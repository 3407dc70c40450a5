// Importing a file: uploaded to see what it would change, then, if the reader says so, imported.
// What became of it is rendered by the server; here it is sent, watched and asked for.

import { events, request, swap } from "./api.js";
import { announce, clone, fill, find, findAll, h, toast } from "./dom.js";
import { newKey } from "./idempotency.js";
import { inspect, isClear, mappingForm } from "./import-mapping.js";
import { upload } from "./import-upload.js";
import { moment } from "./moment.js";
import { has, language, t } from "./texts.js";

const PLACES = ["import-steps", "import-view", "import-past"];
const COUNTS = ["new", "changed", "unchanged", "duplicate", "failed"];
const MINUTE = 60;
const LONG = 90;
const MEGABYTE = 1_000_000;
const AGAIN = 2000;

/** After these, the same upload may succeed. */
const PASSING = [0, 408, 409];

const input = document.getElementById("file");
const drop = document.getElementById("drop");
const keep = document.getElementById("keep-duplicates");
const bad = document.getElementById("import-bad");
const view = () => document.getElementById("import-view");

/** The file that this page holds, and the import that told what it would change. */
let held = null;
let isUploading = false;
let watching = null;

// Choosing

function choose(files) {
  if (isUploading || !files.length) return;
  const [file] = files;
  const wrong = files.length > 1 ? t("import.bad.many") : refusal(file);
  input.value = "";
  if (wrong) {
    showBad(wrong);
    return;
  }
  held = { file, checked: "", reading: {} };
  examine({}, { asks: false });
}

/** Why a file need not even be uploaded; null if it may. */
function refusal({ name, size }) {
  const { suffixes, megabytes } = input.dataset;
  const known = suffixes.split(" ");
  if (!known.some((suffix) => name.toLowerCase().endsWith(suffix))) {
    return t("import.bad.kind", { name, suffixes: known.join(", ") });
  }
  if (!size) return t("import.bad.empty", { name });
  return size > megabytes * MEGABYTE ? t("import.bad.large", { name, megabytes }) : null;
}

// Matching columns

/** What the file's columns hold is asked of the reader: always, or unless it is beyond doubt. */
async function examine(reading, { asks = true } = {}) {
  const { file } = held;
  const before = view();
  let found = null;
  await working(t("import.looking", { name: file.name }), () => examine(reading, { asks }), async (signal) => {
    found = await inspect(file, reading, signal);
    setUploading(false);
  });
  if (!found) return;
  view().replaceWith(before);
  if (!asks && isClear(found)) {
    if (Object.keys(found.mapping).length) held.reading = { mapping: JSON.stringify(found.mapping) };
    send({ isDryRun: true });
    return;
  }
  const form = mappingForm(file, found, {
    onDone: (chosen) => {
      held.reading = chosen;
      send({ isDryRun: true });
    },
    onOther: (chosen) => examine(chosen),
    onCancel: () => location.assign("/library/import"),
  });
  const properties = { class: "import-view", id: "import-view", dataset: { state: "mapping" } };
  view().replaceWith(h("section", properties, form));
  showStep(2);
  find("h2", form).focus();
}

function showStep(current) {
  for (const [index, step] of [...document.getElementById("import-steps").children].entries()) {
    step.classList.toggle("is-done", index + 1 < current);
    if (index + 1 === current) step.setAttribute("aria-current", "step");
    else step.removeAttribute("aria-current");
  }
}

// Uploading

/** The held file goes to the server as its reader wants it read. */
function send({ isDryRun }) {
  const keepsDuplicates = keep.checked;
  return start({ ...held, isDryRun, keepsDuplicates, key: newKey() });
}

/** The attempt can be made again as it is: its key makes two of them one import. */
async function start(attempt) {
  const title = t("import.uploading", { name: attempt.file.name });
  await working(title, () => start(attempt), async (signal, shown) => {
    const { id } = await upload(attempt.file, {
      ...attempt,
      signal,
      onProgress: (done, total) => showUploaded(shown, done, total),
    });
    if (attempt.isDryRun) held.checked = id;
    setUploading(false);
    history.replaceState(null, "", `/library/import?id=${id}`);
    await refresh();
    watch(id);
  });
}

/** The work with the file is shown and can be stopped; when it fails, what was there is back. */
async function working(title, again, work) {
  const before = view();
  const stopping = new AbortController();
  const shown = showUploading(title, stopping);
  watching?.abort();
  bad.replaceChildren();
  setUploading(true);
  try {
    await work(stopping.signal, shown);
  } catch (error) {
    setUploading(false);
    shown.replaceWith(before);
    if (error.name === "AbortError") {
      toast(t("import.cancelled"));
      input.focus();
    } else if ("advice" in error) {
      const { status } = error;
      const mayPass = PASSING.includes(status) || status >= 500;
      showBad(status ? advice(error) : t("import.bad.lost"), mayPass ? again : null);
    } else throw error;
  }
}

/** Why the server refused the file. In other languages than its own it is told as far as it can be. */
function advice(error) {
  const [first] = error.errors;
  const key = `refused.${first?.code}`;
  if (language === "en" || !has(key)) return error.advice;
  return t("import.bad.refused", { name: held.file.name, why: t(key, first.values) });
}

function showUploading(title, stopping) {
  const properties = { class: "import-view", id: "import-view", dataset: { state: "uploading" } };
  const shown = h("section", properties, clone("uploading-template"));
  fill(shown, { title });
  find("[data-cancel]", shown).addEventListener("click", () => stopping.abort());
  view().replaceWith(shown);
  find("h2", shown).focus();
  return shown;
}

function showUploaded(shown, done, total) {
  Object.assign(find("progress", shown), { max: total, value: done });
  const megabytes = (bytes) => (bytes / MEGABYTE).toFixed(1);
  const part = t("import.uploading.part", { done: megabytes(done), total: megabytes(total) });
  fill(shown, { part: done < total ? part : t("import.uploading.wait") });
}

function setUploading(is) {
  isUploading = is;
  input.disabled = is;
  keep.disabled = is;
  drop.classList.toggle("is-busy", is);
}

function showBad(text, again = null) {
  const properties = { class: "button button-small", type: "button", onClick: again };
  const retry = again && h("button", properties, t("common.retry"));
  const shown = fill(clone("bad-template"), { text, retry });
  bad.replaceChildren(shown);
  shown.focus();
  announce(text);
}

// Watching

/** The server's own words for the import as it stands. */
async function refresh(path = location.pathname + location.search) {
  await swap(path, PLACES);
  dress();
}

/** Follows the import to its end, however often the connection is lost. */
async function watch(id) {
  const mine = (watching = new AbortController());
  while (!mine.signal.aborted) {
    try {
      const stream = events(`/api/v1/imports/${id}`, { signal: mine.signal });
      for await (const { event, data } of stream) {
        if (event === "report") {
          await finish(data);
          return;
        }
        await tick(data);
      }
    } catch (error) {
      if (error.name === "AbortError") return;
      if (error.status && error.status < 500) {
        showBad(error.advice);
        return;
      }
      find("#import-lost")?.removeAttribute("hidden");
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN));
  }
}

async function tick(data) {
  if (view().dataset.state !== data.state) await follow();
  const shown = view();
  find("#import-lost", shown)?.setAttribute("hidden", "");
  fill(shown, { read: t("import.read", { count: data.read }) });
  for (const name of COUNTS) fill(shown, { [name]: String(data[name]) });
  fill(shown, { whole: whole(data.progress), left: timeLeft(data.seconds_left) });
  const { done, total } = data.progress ?? {};
  const line = find("progress", shown);
  if (line && total) Object.assign(line, { max: total, value: done });
}

/** It is paused now, or goes on: whoever was at its buttons is at its title. */
async function follow() {
  const wasThere = view().contains(document.activeElement);
  await refresh();
  const title = find("#import-title");
  if (wasThere) title.focus();
  else announce(title.textContent);
}

/** How much of the file has been read, as far as anybody knows. */
function whole(progress) {
  const { done, total, unit } = progress ?? {};
  if (!total) return "";
  if (unit === "rows") return t("import.whole.rows", { count: total });
  const megabytes = (bytes) => (bytes / MEGABYTE).toFixed(1);
  return t("import.whole.bytes", { done: megabytes(done), total: megabytes(total) });
}

function timeLeft(seconds) {
  if (seconds === null) return "";
  if (seconds < LONG) return t("import.left.seconds", { count: Math.round(seconds) });
  return t("import.left.minutes", { count: Math.round(seconds / MINUTE) });
}

/** The reader pauses the import, lets it go on, or ends it. */
async function want(button) {
  const { id } = view().dataset;
  const body = { wanted: button.dataset.wanted };
  button.disabled = true;
  watching?.abort();
  try {
    await request(`/api/v1/imports/${id}`, { method: "PATCH", body });
    await refresh();
    find("#import-title")?.focus();
  } catch (error) {
    if (!("advice" in error)) throw error;
    button.disabled = false;
    showBad(error.advice);
  }
  watch(id);
}

async function finish(data) {
  await refresh();
  find("#import-title")?.focus();
  const key = data.dry_run ? "checked" : "done";
  if (data.state === "done") announce(t(`import.announce.${key}`, data));
}

/** What the server cannot know: the reader's clock, and whether this page still holds the file. */
function dress() {
  for (const time of findAll("#import-past time, #import-view time")) {
    time.textContent = moment(time.dateTime);
  }
  const isHeld = Boolean(held) && held.checked === view().dataset.id;
  const remap = document.getElementById("remap");
  if (remap) remap.hidden = !isHeld;
  const button = document.getElementById("start");
  if (!button) return;
  button.hidden = !isHeld;
  document.getElementById("start-again").hidden = isHeld;
}

document.addEventListener("click", (event) => {
  const filter = event.target.closest(".filter a");
  const wanted = event.target.closest("[data-wanted]");
  if (wanted) want(wanted);
  if (event.target.closest("#start")) send({ isDryRun: false });
  if (event.target.closest("#remap")) examine(held.reading);
  if (!filter || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const address = filter.getAttribute("href");
  history.replaceState(null, "", address);
  refresh().then(
    () => find(`.filter a[href="${CSS.escape(address)}"]`)?.focus(),
    (error) => showBad(error.advice),
  );
});

const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
const lift = (is) => drop.classList.toggle("is-over", is && !isUploading);
input.addEventListener("change", () => choose([...input.files]));
keep.addEventListener("change", () => {
  // What was told of this file holds no more: it is looked through again.
  if (held?.checked && held.checked === view().dataset.id) send({ isDryRun: true });
});
addEventListener("dragover", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  lift(true);
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) lift(false);
});
addEventListener("drop", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  lift(false);
  choose([...event.dataTransfer.files]);
});
addEventListener("beforeunload", (event) => {
  if (isUploading) event.preventDefault();
});

dress();
const { id, state } = view().dataset;
if (["waiting", "running", "paused"].includes(state)) watch(id);
