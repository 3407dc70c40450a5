// The panel beside the form: who would find this, what it repeats, and what is still worth adding.

import { request } from "./api.js";
import { announce, clone, debounce, fill, find, h } from "./dom.js";
import { decimal, nearness, t } from "./texts.js";

const PAUSE = 400;
const RANKED = 20;
const STEP = /^\s*\d{1,2}[.)]\s/gm;
const MOST_CHECKED = 12;
const NEAR = 0.05;

const panel = document.getElementById("preview");
const state = document.getElementById("preview-state");
const retry = document.getElementById("preview-retry");

/**
 * Checks the draft whenever it is told to, a moment after the last word. `draft()` is what to send,
 * null if there is nothing to check yet; `found(errors)` gets what is wrong with its fields.
 */
export function preview(draft, found) {
  let running = null;

  async function check() {
    running?.abort();
    const body = draft();
    if (!body) {
      running = null;
      showNothing();
      found([]);
      return;
    }
    const mine = (running = new AbortController());
    say("editor.checking");
    panel.setAttribute("aria-busy", "true");
    try {
      const options = { method: "POST", body, signal: mine.signal };
      const result = await request("/api/v1/scenarios/preview", options);
      showSimilar(result.duplicates);
      showPlaced(result.questions, body.example_questions.length);
      say("editor.checked");
      found(result.errors);
    } catch (error) {
      if (error.name === "AbortError") return;
      say("editor.unchecked", true);
    }
    if (running === mine) panel.setAttribute("aria-busy", "false");
  }

  retry.addEventListener("click", check);
  return { later: debounce(check, PAUSE), now: check };
}

function say(key, canRetry = false) {
  state.textContent = t(key);
  retry.hidden = !canRetry;
}

function showNothing() {
  showSimilar([]);
  showPlaced([], 0);
  find("#preview-empty").textContent = t("editor.found.empty");
  state.textContent = "";
  retry.hidden = true;
  panel.setAttribute("aria-busy", "false");
}

function showSimilar(duplicates) {
  const note = document.getElementById("similar");
  if (note.hidden && duplicates.length) announce(t("editor.similar.title"));
  note.hidden = !duplicates.length;
  fill(note, { similar: duplicates.map(similarItem) });
}

function similarItem({ id, name, status, similarity }) {
  const words = similarity >= 0.95 ? "same" : similarity >= 0.85 ? "very" : "quite";
  const percent = t("editor.similar.percent", { percent: Math.round(100 * similarity) });
  const item = fill(clone("similar-template"), {
    name: [name, outside()],
    words: [t(`editor.similar.${words}`), " · ", percent, " · ", t(`status.${status}`)].join(""),
  });
  find("a", item).href = `/library/${id}`;
  return item;
}

const outside = () => h("span", { class: "visually-hidden" }, ` ${t("editor.new_tab")}`);

function showPlaced(questions, examples) {
  const empty = document.getElementById("preview-empty");
  empty.hidden = examples > 0 || questions.length > 0;
  empty.textContent = t("editor.found.none");
  for (const source of ["example", "asked"]) {
    const part = document.getElementById(`placed-${source}`);
    const placed = questions.filter((question) => question.source === source);
    part.hidden = !placed.length;
    fill(part, { placed: placed.map(placedItem) });
  }
  const unchecked = Math.max(0, examples - MOST_CHECKED);
  fill(document.getElementById("placed-example"), {
    more: unchecked ? t("editor.found.more", { count: unchecked }) : null,
  });
}

function placedItem({ question, relevance, rank, best: other }) {
  const best = other && (rank !== 1 || other.relevance >= NEAR) ? other : null;
  const relation = !best ? "alone" : rank === 1 ? "ahead" : "behind";
  const item = fill(clone("placed-template"), {
    question,
    rank: rankText(rank),
    nearness: nearness(relevance),
    relevance: decimal(relevance),
    relation: t(`editor.best.${relation}`),
    best: best && bestLink(best),
  });
  find("meter", item).value = relevance;
  find(".rank", item).dataset.rank = rank === 1 ? "first" : rank ? "later" : "none";
  if (!best) find("[data-optional]", item).hidden = false;
  return item;
}

function rankText(rank) {
  if (!rank) return t("editor.rank.none", { count: RANKED });
  return rank === 1 ? t("editor.rank.first") : t("editor.rank", { rank });
}

function bestLink({ id, name, relevance }) {
  const properties = { href: `/library/${id}`, target: "_blank", rel: "noopener" };
  return [h("a", properties, name, outside()), ` (${decimal(relevance)})`];
}

/** How many numbered steps a text has. */
export const stepsOf = (text) => (text.match(STEP) ?? []).length;

/** Marks what of the list of wishes the scenario has. */
export function showWishes(values) {
  const has = {
    description: values.description,
    steps: stepsOf(values.expected_response) > 1,
    questions: values.example_questions.length >= 3,
    category: values.category,
    evidence: values.evidence_note,
    review: values.review_by,
  };
  for (const [wish, isThere] of Object.entries(has)) {
    const item = find(`[data-wish="${wish}"]`);
    item.classList.toggle("is-there", Boolean(isThere));
    fill(item, { has: t(isThere ? "editor.ready.yes" : "editor.ready.no") });
  }
  const count = stepsOf(values.expected_response);
  find("#steps").textContent = count ? t("editor.steps", { count }) : t("editor.steps.none");
}
