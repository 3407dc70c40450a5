// Two people changed one scenario: what differs, side by side, and who of them goes on top.

import { clone, fill, find } from "./dom.js";
import { FIELDS, same } from "./editor-form.js";
import { t } from "./texts.js";

/** The fields whose words have texts, and the kind of word that they hold. */
const KINDS = {
  category: "category",
  setting: "setting",
  grade_bands: "grade_band",
  subjects: "subject",
  evidence_strength: "strength",
};

/** What the other person changed, and what of it this form changed to something else. */
export function differences(base, theirs, mine) {
  const isTheirs = (name) => !same(base[name], theirs[name]) && !same(mine[name], theirs[name]);
  return FIELDS.filter(isTheirs).map((name) => ({
    name,
    theirs: theirs[name],
    mine: mine[name],
    isClash: !same(mine[name], base[name]),
  }));
}

/** The reader's choice: "keep", "take" or "continue". */
export function choose(revision, found) {
  const dialog = document.getElementById("conflict");
  fill(dialog, {
    text: t("editor.conflict.text", { revision }),
    differences: found.map(item),
  });
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclick = (event) => {
      const choice = event.target.closest("[data-choice]")?.dataset.choice;
      if (!choice) return;
      dialog.close();
      resolve(choice);
    };
    dialog.oncancel = () => resolve("continue");
  });
}

function item({ name, theirs, mine, isClash }) {
  const field = t(`editor.field.${name}`);
  const shown = fill(clone("difference-template"), {
    field,
    note: t(isClash ? "editor.conflict.both" : "editor.conflict.only"),
    theirs: text(name, theirs),
    mine: isClash ? text(name, mine) : null,
  });
  for (const side of ["theirs", "mine"]) {
    const place = find(`[data-slot=${side}]`, shown);
    place.setAttribute("role", "group");
    place.setAttribute("aria-label", `${field}: ${t(`editor.conflict.${side}`)}`);
  }
  return shown;
}

function text(name, value) {
  const lines = [value].flat().map((word) => (KINDS[name] ? known(KINDS[name], word) : word));
  return lines.join("\n") || t("editor.conflict.empty");
}

function known(kind, word) {
  try {
    return t(`${kind}.${word}`);
  } catch {
    return word;
  }
}
