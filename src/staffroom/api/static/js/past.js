// What was asked on this device, in this browser only.

import { find, h, icon, toast } from "./dom.js";
import { keep, recall } from "./storage.js";
import { t } from "./texts.js";

const MOST = 30;

/** The question is remembered on this device, with where its answer is. */
export function remember(id, question) {
  keep("past", [{ id, question }, ...recall("past", []).filter((past) => past.id !== id)].slice(0, MOST));
  show();
}

/** The list shows what this device remembers. */
export function show() {
  const past = recall("past", []);
  find("#past").hidden = past.length === 0;
  find("#past-list").replaceChildren(...past.map(entry));
}

function entry({ id, question }) {
  const label = t("past.forget", { question });
  const remove = h("button", { class: "button button-quiet button-icon", type: "button", "aria-label": label, title: label }, icon("close"));
  remove.addEventListener("click", () => {
    keep("past", recall("past", []).filter((past) => past.id !== id));
    show();
    (find("#past-list button") ?? find("#question")).focus();
  });
  return h("li", {}, h("a", { href: `/answers/${encodeURIComponent(id)}` }, question), remove);
}

find("#past-clear").addEventListener("click", () => {
  keep("past", []);
  show();
  toast(t("past.cleared"));
  find("#question").focus();
});
