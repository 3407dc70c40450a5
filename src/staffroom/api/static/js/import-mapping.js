// What the columns of a file hold: guessed by the server, shown with samples, chosen by the reader.

import { request } from "./api.js";
import { clone, fill, find, findAll, h } from "./dom.js";
import { t } from "./texts.js";

/** Of these the beginning tells everything; the others have to be there as a whole. */
const TEXT = /\.(csv|tsv|jsonl|ndjson)$/i;
const BEGINNING = 1 << 18;
const SURE = 1;

/** How the server would read the file. `reading` is what is known of that already. */
export function inspect(file, reading, signal) {
  const form = new FormData();
  for (const [name, value] of Object.entries(reading)) form.append(name, value);
  form.append("file", TEXT.test(file.name) ? file.slice(0, BEGINNING) : file, file.name);
  return request("/api/v1/imports/inspect", { method: "POST", body: form, signal });
}

/**
 * Nothing is left to a guess: each column is called like a field, or like nothing known. Where no
 * column was seen, there is none to ask about.
 */
export function isClear({ columns, guessed, missing }) {
  if (!columns.length) return true;
  const isPlain = ({ guess, confidence }) => !guess || confidence === SURE;
  return !missing.length && !guessed.length && columns.every(isPlain);
}

/**
 * The form in which a reader confirms it. `onDone(reading)` hears what was chosen, `onOther` when
 * the file is to be read in another way, `onCancel` when it is not to be read.
 */
export function mappingForm(file, found, { onDone, onOther, onCancel }) {
  const form = clone("mapping-template");
  const rows = found.columns.map(row);
  find("tbody", form).append(...rows);
  fill(form, { title: t("import.map.title", { name: file.name }) });
  if (!found.guessed.length) fill(form, { guessed: "" });
  const { sheet, encoding, delimiter, header_row } = form.elements;
  sheet.append(...found.sheets.map((name) => h("option", {}, name)));
  const told = { sheet: found.sheet, encoding: found.encoding, delimiter: found.delimiter };
  told.header_row = found.header_row || "";
  for (const control of [sheet, encoding, delimiter, header_row]) {
    const value = told[control.name];
    control.value = value === "\t" ? "tab" : value;
    control.closest("label").hidden = value === "";
    control.addEventListener("change", () => onOther(file_reading(form)));
  }
  find("[data-cancel]", form).addEventListener("click", onCancel);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const mapping = Object.fromEntries(rows.map((each) => [each.dataset.column, value_of(each)]));
    const wrong = refusal(rows);
    fill(form, { wrong: wrong?.text ?? "" });
    if (wrong) wrong.select.focus();
    else onDone({ ...file_reading(form), mapping: JSON.stringify(mapping) });
  });
  return form;
}

function row({ name, guess, confidence, samples }) {
  const shown = clone("mapping-row-template");
  shown.dataset.column = name;
  const select = find("select", shown);
  select.setAttribute("aria-label", t("import.map.field", { name }));
  select.value = guess;
  const sure = guess && confidence < SURE ? t("import.map.guess") : "";
  fill(shown, { column: name, sure, samples: samples.join(" · ") });
  select.addEventListener("change", () => fill(shown, { sure: "" }));
  return shown;
}

const value_of = (shown) => find("select", shown).value;

/** Why the choice cannot be; null if it can. */
function refusal(rows) {
  const held = new Set();
  for (const each of rows) {
    const field = value_of(each);
    const select = find("select", each);
    const means = select.selectedOptions[0].textContent;
    if (field && held.has(field)) return { text: t("import.map.twice", { field: means }), select };
    held.add(field);
  }
  if (held.has("description")) return null;
  return { text: t("import.map.missing"), select: find("select", rows[0]) };
}

function file_reading(form) {
  const controls = findAll(".mapping-file [name]", form);
  const told = controls.filter((control) => !control.closest("label").hidden && control.value);
  return Object.fromEntries(told.map(({ name, value }) => [name, value]));
}
