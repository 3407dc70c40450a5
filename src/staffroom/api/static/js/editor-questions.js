// The example questions: a row for each, which Enter adds, Backspace takes away and a pasted list
// fills.

import { announce, clone, find, findAll } from "./dom.js";
import { t } from "./texts.js";

const LABELS = [
  [".question-field", "editor.question"],
  ["[data-move='-1']", "editor.question.up"],
  ["[data-move='1']", "editor.question.down"],
  ["[data-remove]", "editor.question.remove"],
];
const BULLET = /^\s*(?:\d{1,2}[.)]|[-*•])\s+/;

/** The list that the server rendered; `changed` is called when rows come, go or move. */
export function questions(list, addButton, changed) {
  const rows = () => findAll(".question-row", list);
  const field = (row) => find(".question-field", row);

  function number() {
    const all = rows();
    all.forEach((row, index) => {
      find("[data-slot=number]", row).textContent = String(index + 1);
      for (const [selector, key] of LABELS) {
        find(selector, row).setAttribute("aria-label", t(key, { number: index + 1 }));
      }
      find("[data-move='-1']", row).disabled = index === 0;
      find("[data-move='1']", row).disabled = index === all.length - 1;
    });
  }

  function add(value = "", after = rows().at(-1)) {
    const row = clone("question-template");
    field(row).value = value;
    if (after) after.after(row);
    else list.append(row);
    number();
    return row;
  }

  function remove(row, focused) {
    const index = rows().indexOf(row);
    row.remove();
    if (!rows().length) add();
    number();
    focused ??= rows()[Math.min(index, rows().length - 1)];
    field(focused).focus();
    announce(t("editor.question.removed", { number: index + 1 }));
    changed();
  }

  function move(row, step) {
    const other = step < 0 ? row.previousElementSibling : row.nextElementSibling;
    if (!other) return;
    if (step < 0) other.before(row);
    else other.after(row);
    number();
    const button = find(`[data-move='${step}']`, row);
    (button.disabled ? field(row) : button).focus();
    announce(t("editor.question.moved", { number: rows().indexOf(row) + 1 }));
    changed();
  }

  /** The first line goes where the caret is, each further one into a row of its own. */
  function paste(row, lines) {
    const [first, ...rest] = lines;
    const at = field(row);
    at.setRangeText(first, at.selectionStart, at.selectionEnd, "end");
    let last = row;
    for (const line of rest) last = add(line, last);
    field(last).focus();
    announce(t("editor.question.added", { count: lines.length }));
    changed();
  }

  list.addEventListener("keydown", (event) => {
    const row = event.target.closest(".question-row");
    if (event.isComposing || event.target !== field(row)) return;
    if (event.key === "Enter") {
      event.preventDefault();
      const next = row.nextElementSibling;
      field(next && !field(next).value ? next : add("", row)).focus();
    } else if (event.key === "Backspace" && !event.target.value && rows().length > 1) {
      event.preventDefault();
      remove(row, row.previousElementSibling ?? row.nextElementSibling);
    }
  });
  list.addEventListener("paste", (event) => {
    const row = event.target.closest(".question-row");
    const lines = event.clipboardData.getData("text").split(/\r?\n/);
    const given = lines.map((line) => line.replace(BULLET, "").trim()).filter(Boolean);
    if (!row || given.length < 2) return;
    event.preventDefault();
    paste(row, given);
  });
  list.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    const row = button?.closest(".question-row");
    if (button && "remove" in button.dataset) remove(row);
    else if (button) move(row, Number(button.dataset.move));
  });
  addButton.addEventListener("click", () => field(add()).focus());
  number();

  return {
    read: () => rows().map((row) => field(row).value.trim()).filter(Boolean),
    write(values) {
      list.replaceChildren();
      (values.length ? values : [""]).forEach((value) => add(value));
    },
  };
}
