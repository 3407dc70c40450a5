// The Ask view: questions are answered as they are asked, one after another.

import { find, findAll, toast } from "./dom.js";
import { Exchange } from "./exchange.js";
import { remember, show as showPast } from "./past.js";
import { keep, recall } from "./storage.js";
import { t } from "./texts.js";

const view = find("#ask");
const form = find("#ask-form");
const field = find("#question");
const follow = find("#follow");
const followField = find("#follow-question");
const privately = find("#private");
const exchanges = find("#exchanges");

let running = null;
let conversation = null;

/** The question is asked: as a new one, or as one that continues what was said. */
async function ask(question, { continues = false } = {}) {
  const text = question.trim();
  find("#question-error").hidden = Boolean(text) || continues;
  field.setAttribute("aria-invalid", String(!text && !continues));
  if (!text) {
    find("#question-error").textContent = t("ask.empty_question");
    (continues ? followField : field).focus();
    return;
  }
  running?.abort();
  const controller = new AbortController();
  running = controller;
  if (!continues) {
    exchanges.replaceChildren();
    conversation = null;
    history.replaceState(null, "", "/");
  }
  const exchange = new Exchange(text);
  find("[data-retry]", exchange.element).addEventListener("click", () => {
    exchange.element.remove();
    ask(text, { continues });
  });
  exchanges.append(exchange.element);
  view.classList.add("ask-answered");
  follow.hidden = true;
  busy(true);
  exchange.element.scrollIntoView({ block: "nearest" });
  const isPrivate = privately.checked;
  const answer = await exchange.ask({ conversation, isPrivate, signal: controller.signal });
  if (running !== controller) return;
  running = null;
  busy(false);
  if (answer && !isPrivate) settle(answer, text);
}

function settle(answer, text) {
  conversation = answer.conversation_id;
  const id = answer.interaction_id ?? answer.id;
  remember(id, text);
  // Loading the page again, or coming back to it, shows the answer as it was stored.
  history.replaceState(null, "", `/answers/${id}`);
  follow.hidden = answer.abstained;
  followField.value = "";
}

function busy(isBusy) {
  find("#submit").hidden = isBusy;
  find("#stop").hidden = !isBusy;
}

function askOnEnter(event) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  event.target.form.requestSubmit();
}

function showPrivacy() {
  find("#private-hint").hidden = !privately.checked;
  view.classList.toggle("is-private", privately.checked);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask(field.value);
});
find("form", follow).addEventListener("submit", (event) => {
  event.preventDefault();
  ask(followField.value, { continues: true });
});
field.addEventListener("keydown", askOnEnter);
followField.addEventListener("keydown", askOnEnter);
find("#stop").addEventListener("click", () => {
  running?.abort();
  field.focus();
});
for (const example of findAll(".example-list form")) {
  example.addEventListener("submit", (event) => {
    event.preventDefault();
    field.value = new FormData(example).get("question");
    ask(field.value);
    scrollTo({ top: 0 });
  });
}
privately.checked = recall("private", false);
privately.addEventListener("change", () => {
  keep("private", privately.checked);
  showPrivacy();
  if (privately.checked) {
    follow.hidden = true;
    toast(t("ask.private.hint"));
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") running?.abort();
});

showPrivacy();
showPast();
// A link of this site that brings a question along means to ask it.
if (field.value && document.referrer.startsWith(`${location.origin}/`)) ask(field.value);
