// One question on its way: what was found, each sentence, the answer, or what went wrong.

import { equip, identify } from "./actions.js";
import { Problem, events, request } from "./api.js";
import { announce, clone, fill, find, findAll, h } from "./dom.js";
import { enlighten } from "./light.js";
import { Runs, tint } from "./runs.js";
import { day, decimal, nearness, t } from "./texts.js";

/** An exchange as an element of the page; `ask` resolves to its answer document, or to null. */
export class Exchange {
  constructor(question) {
    this.question = question;
    this.element = clone("exchange-template");
    this.sources = new Map();
    this.place = findAll("[data-exchange]").length;
    this.id = null;
    fill(this.element, { question, state: t("answer.looking") });
    find("[data-skeleton]", this.element).hidden = false;
    find("[data-suggest]", this.element).href = `/library/new?${new URLSearchParams({ question })}`;
    enlighten(this.element);
    equip(this.element);
  }

  async ask({ conversation, isPrivate, signal }) {
    const body = { question: this.question, private: isPrivate };
    if (conversation) body.conversation_id = conversation;
    try {
      for await (const { event, data } of events("/api/v1/ask", { method: "POST", body, signal })) {
        if (event === "matches") this.#found(data);
        else if (event === "sentence") this.#said(data);
        else if (event === "answer") return this.#finish(data);
      }
      throw new Problem({ status: 0 });
    } catch (error) {
      return this.#fail(error);
    }
  }

  #found(data) {
    this.id = data.interaction_id;
    const list = find("[data-source-list]", this.element);
    data.matches.forEach((match, index) => {
      // An earlier answer of the conversation may rest on the same scenario.
      const anchor = `source-${match.id}${this.place ? `-${this.place}` : ""}`;
      this.sources.set(match.id, { anchor, number: index + 1, name: match.name, language: match.language });
      list.append(sourceCard(match, index + 1, anchor));
    });
    find("[data-sources]", this.element).hidden = data.matches.length === 0;
    find('[data-notice="uncertain"]', this.element).hidden = !data.uncertain;
    fill(this.element, { state: t("answer.writing") });
    this.runs = new Runs(find("[data-runs]", this.element), this.sources);
    announce(t("answer.found", { count: data.matches.length }));
  }

  #said(sentence) {
    find("[data-skeleton]", this.element).hidden = true;
    this.runs.add(sentence);
  }

  #finish(answer) {
    this.#settle();
    // The whole answer may have the advice in its own order, which the stream did not wait for.
    this.#show(answer.sentences);
    const more = new Runs(find("[data-more-runs]", this.element), this.sources);
    for (const sentence of answer.more) more.add(sentence);
    find("[data-more]", this.element).hidden = answer.more.length === 0;
    if (answer.abstained) this.#abstain(answer);
    markUnused(this.element, answer.sentences);
    fill(this.element, { outcome: outcome(answer) });
    find("[data-foot]", this.element).hidden = false;
    identify(this.element, answer.interaction_id ?? answer.id ?? null);
    announce(answer.abstained ? answer.answer : t("answer.ready", { count: this.runs.count }));
    return answer;
  }

  #show(sentences) {
    const place = find("[data-runs]", this.element);
    const shown = findAll(".said", place).map((said) => said.textContent);
    if (shown.join("\n") === sentences.map((sentence) => sentence.text).join("\n")) return;
    place.replaceChildren();
    this.runs = new Runs(place, this.sources);
    for (const sentence of sentences) this.runs.add(sentence);
  }

  #abstain(answer) {
    const related = answer.related ?? [];
    find("[data-nothing]", this.element).hidden = false;
    fill(this.element, {
      abstention: answer.answer,
      related: related.map((match) => h("li", {}, h("a", { href: `/library/${match.id}` }, match.name))),
    });
  }

  async #fail(error) {
    this.#settle();
    if (error.name === "AbortError") {
      fill(this.element, { state: t("answer.stopped") });
      announce(t("answer.stopped"));
      return null;
    }
    if (error.status === 0 && this.id && this.runs) {
      const stored = await request(`/api/v1/interactions/${this.id}`).catch(() => null);
      if (stored) return this.#finish(stored);
    }
    const begun = findAll(".said", this.element).length > 0;
    const wait = error.retryAfter ? ` ${t("answer.retry_after", { count: error.retryAfter })}` : "";
    const told = `${begun ? `${t("answer.lost")} ` : ""}${error.advice ?? String(error)}${wait}`;
    fill(this.element, { failure: told });
    find("[data-failed]", this.element).hidden = false;
    announce(told);
    return null;
  }

  #settle() {
    find("[data-skeleton]", this.element).hidden = true;
    fill(this.element, { state: "" });
  }
}

function sourceCard(match, number, anchor) {
  const card = clone("source-template");
  const today = new Date().toISOString().slice(0, 10);
  const due = match.review_by && match.review_by < today ? "source.review_due" : "source.review";
  card.classList.replace("tint-1", tint(number));
  card.id = anchor;
  card.dataset.source = match.id;
  const mark = find(".tint-number", card);
  mark.classList.replace("tint-1", tint(number));
  find("meter", card).value = match.relevance;
  find(".source-name a", card).href = `/library/${match.id}`;
  for (const text of findAll("[lang]", card)) text.lang = match.language;
  return fill(card, {
    number: String(number),
    name: match.name,
    nearness: nearness(match.relevance),
    relevance: decimal(match.relevance),
    description: match.description,
    advice: paragraphs(match.expected_response || match.description),
    examples: match.example_questions.slice(0, 2).join(" · "),
    evidence: match.evidence_note,
    review: match.review_by ? t(due, { day: day(match.review_by) }) : "",
  });
}

/** Line by line, as the filter `paragraphs` on the server. */
function paragraphs(text) {
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  return lines.map((line) => h("p", { class: /^(?:\d{1,2}[.)]|[-*•])\s/.test(line) ? "item" : null }, line));
}

function markUnused(element, sentences) {
  const cited = new Set(sentences.flatMap((sentence) => sentence.citations));
  for (const source of findAll("[data-source]", element)) {
    const isUnused = !cited.has(source.dataset.source);
    source.classList.toggle("source-unused", isUnused);
    find('[data-mark="unused"]', source).hidden = !isUnused;
  }
}

function outcome({ outcome: kind, writer }) {
  if (kind === "written" && writer === "extractive") return t("answer.outcome.read");
  return t(`answer.outcome.${kind}`, { writer });
}
