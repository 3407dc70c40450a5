// The editor's form as one value: read, written, compared, and told what is wrong with it.

import { find, findAll, h } from "./dom.js";
import { questions } from "./editor-questions.js";
import { tokens } from "./editor-tokens.js";
import { t } from "./texts.js";

const LISTS = ["grade_bands", "subjects", "tags"];
const NONE = ["evidence_strength", "review_by"];
const WORDS = ["category", "setting"];

/** The fields of a scenario in the order of the form. */
export const FIELDS = [
  "name",
  "description",
  "expected_response",
  "example_questions",
  "category",
  "setting",
  ...LISTS,
  "evidence_note",
  "evidence_strength",
  "worked_with",
  "contributor",
  "language",
  "review_by",
];

const TEXTS = FIELDS.filter((name) => ![...LISTS, "example_questions"].includes(name));

const tooLong = (length, most) => t("editor.error.too_long", { length, most });
const tooMany = (length, most) => t("editor.error.too_many", { length, most });

/** What the server says of a field, which is English, and the text that says the same. */
const REASONS = [
  [/is missing|at least 1 character/, () => t("editor.error.missing")],
  [/is ([\d,]+) characters long, ([\d,]+) are/, ([, length, most]) => tooLong(length, most)],
  [/at most (\d+) characters/, ([, most]) => t("editor.error.at_most", { most })],
  [/has (\d+) items, (\d+) are/, ([, length, most]) => tooMany(length, most)],
  [/at most (\d+) items after validation, not (\d+)/, ([, most, length]) => tooMany(length, most)],
  [/holds .*\((U\+[0-9A-F]+)\)/, ([, code]) => t("editor.error.damage", { code })],
];
const REASONS_OF = { language: "editor.error.language", review_by: "editor.error.date" };

/** A scenario of the library as the form has it: what is none is empty. */
export const plain = (scenario) => ({
  ...scenario,
  evidence_strength: scenario.evidence_strength ?? "",
});

export const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** The fields in which the values differ, with what they are now. */
export function changes(values, base) {
  const names = FIELDS.filter((name) => !same(values[name], base[name]));
  return Object.fromEntries(names.map((name) => [name, values[name]]));
}

const id = (name) => `f-${name}`;
const control = (name) => document.getElementById(id(name));

/** Why a field is wrong, in the reader's language where there is a text for it. */
export function told({ field, reason }) {
  for (const [pattern, text] of REASONS) {
    const found = pattern.exec(reason);
    if (found) return text(found);
  }
  return field in REASONS_OF ? t(REASONS_OF[field]) : reason;
}

/** The form that the server rendered; `changed(field)` is called whenever a value changes. */
export function form(root, changed) {
  const lists = {};
  for (const name of LISTS) {
    lists[name] = tokens(find(`[data-tokens="${name}"]`, root), () => changed(name));
  }
  lists.example_questions = questions(find("#questions", root), find("#add-question", root), () =>
    changed("example_questions"),
  );

  function read() {
    const values = {};
    for (const name of FIELDS) values[name] = lists[name]?.read() ?? control(name).value.trim();
    if (values.evidence_strength) values.evidence_strength = Number(values.evidence_strength);
    return values;
  }

  function write(values) {
    for (const name of FIELDS) {
      if (!(name in values)) continue;
      if (lists[name]) lists[name].write(values[name]);
      else control(name).value = values[name];
    }
  }

  root.addEventListener("submit", (event) => event.preventDefault());
  root.addEventListener("input", (event) => {
    if (event.target.closest("#questions")) changed("example_questions");
    else if (TEXTS.includes(event.target.name)) changed(event.target.name);
  });
  for (const name of WORDS) control(name).addEventListener("change", () => useKnownWord(name));
  for (const button of findAll("[data-years]", root)) {
    button.addEventListener("click", () => {
      const date = new Date();
      date.setFullYear(date.getFullYear() + Number(button.dataset.years));
      control("review_by").value = date.toISOString().slice(0, 10);
      changed("review_by");
    });
  }
  return { read, write };
}

/** The errors stand at their fields, and nowhere else. */
export function showErrors(errors) {
  for (const name of FIELDS) {
    const error = errors.find(({ field }) => field.split(".")[0] === name);
    const place = document.getElementById(`${id(name)}-error`);
    place.textContent = error ? told(error) : "";
    place.hidden = !error;
    const marked = name === "example_questions" ? findAll(".question-field") : [control(name)];
    for (const element of marked) {
      if (error) element.setAttribute("aria-invalid", "true");
      else element.removeAttribute("aria-invalid");
    }
  }
}

/** Links to the fields that are wrong, each with its reason. */
export function problemLinks(errors) {
  return errors.map((error) => {
    const name = error.field.split(".")[0];
    const known = control(name) !== null;
    const text = known ? `${t(`editor.field.${name}`)}: ${told(error)}` : told(error);
    return h("li", {}, known ? h("a", { href: `#${id(name)}`, onClick: goTo }, text) : text);
  });
}

function goTo(event) {
  event.preventDefault();
  const place = find(event.currentTarget.getAttribute("href"));
  (find(".question-field", place) ?? place).focus();
}

/** What is sent for these fields. An empty date or strength is none, an empty language the
 * server's. */
export function payload(values, names = FIELDS) {
  const body = {};
  for (const name of names) {
    if (NONE.includes(name)) body[name] = values[name] === "" ? null : values[name];
    else if (name !== "language" || values[name]) body[name] = values[name];
  }
  return body;
}

/** "Bullying" is the "bullying" that the library has already. */
function useKnownWord(name) {
  const plain = (text) => text.trim().toLowerCase();
  const input = control(name);
  const option = [...input.list.options].find(({ value, label }) =>
    [value, label].map(plain).includes(plain(input.value)),
  );
  if (option) input.value = option.value;
}
