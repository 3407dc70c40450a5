// The API reference: operations that fit what is typed stay, the others leave the page.

import { announce, debounce, find, findAll } from "./dom.js";
import { t } from "./texts.js";

const field = find("#find");
const operations = findAll(".operation");
const say = debounce((count) => announce(t("docs.find.count", { count })), 600);

function fits(operation, words) {
  return words.every((word) => operation.dataset.find.includes(word));
}

function show() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  const kept = new Set(operations.filter((operation) => fits(operation, words)));
  for (const operation of operations) {
    operation.hidden = !kept.has(operation);
    find(`[data-of="${operation.id}"]`).hidden = operation.hidden;
  }
  for (const section of findAll("section[data-group]")) {
    section.hidden = !findAll(".operation", section).some((operation) => !operation.hidden);
    find(`li[data-group="${section.dataset.group}"]`).hidden = section.hidden;
  }
  for (const section of findAll("[data-aside]")) section.hidden = words.length > 0;
  find("#find-none").hidden = kept.size > 0;
  if (words.length) say(kept.size);
}

/** A link to what is filtered away ends the filter. */
function reveal() {
  const there = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!there?.closest("[hidden]")) return;
  field.value = "";
  show();
  there.scrollIntoView();
}

field.addEventListener("input", show);
addEventListener("hashchange", reveal);
if (field.value) show();
