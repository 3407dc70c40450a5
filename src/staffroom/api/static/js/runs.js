// An answer as it comes in, laid out as api/page/answers.py lays out a stored one.

import { h } from "./dom.js";
import { t } from "./texts.js";

/** The class of the pen that marks a source: the same rule as the filter `tint` on the server. */
export const tint = (number) => `tint-${((number - 1) % 5) + 1}`;

/** Adds sentences one by one to an element: a run for each source, and in it the steps. */
export class Runs {
  #place;
  #sources;
  #last = null;
  #steps = null;
  #paragraph = null;
  count = 0;

  /** `sources` maps the id of a scenario to its number, name, language, and the id of its card. */
  constructor(place, sources) {
    this.#place = place;
    this.#sources = sources;
  }

  add(sentence) {
    const beginsRun = !this.#last || this.#last.citations.join() !== sentence.citations.join();
    if (beginsRun) this.#beginRun(sentence);
    if (beginsRun || this.#last.step !== sentence.step) this.#beginStep(sentence);
    const said = h("span", { class: "said", dataset: { cites: sentence.citations.join(" ") } }, sentence.text);
    this.#paragraph.append(said, " ");
    this.#last = sentence;
  }

  #beginRun({ citations }) {
    const cited = citations.map((id) => ({ id, ...this.#sources.get(id) })).filter((source) => source.number);
    const lang = cited[0]?.language;
    this.#steps = h("ol", { class: "steps", lang });
    const head = h(
      "p",
      { class: "run-head" },
      cited.map(marker),
      h("span", { class: "visually-hidden" }, t("answer.from")),
      " ",
      h("span", { lang }, cited[0]?.name ?? ""),
    );
    const pen = cited.length ? ` ${tint(cited[0].number)}` : "";
    this.#place.append(h("section", { class: `run${pen}` }, head, this.#steps));
  }

  #beginStep({ step }) {
    const isStep = step !== null;
    if (isStep) this.count += 1;
    this.#paragraph = h("p");
    const number = h("span", { class: "step-number number" }, isStep ? String(this.count) : "");
    this.#steps.append(h("li", { class: isStep ? "step" : "step step-plain" }, number, this.#paragraph));
  }
}

function marker({ id, anchor, number, name }) {
  const label = t("source.number", { number, name });
  return h(
    "a",
    { class: `tint-number ${tint(number)}`, dataset: { cite: id }, href: `#${anchor}`, "aria-label": label },
    String(number),
  );
}
