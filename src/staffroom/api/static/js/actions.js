// What a reader does with an answer: copy, share, print, and say whether it helped.

import { request } from "./api.js";
import { find, findAll, toast } from "./dom.js";
import { t } from "./texts.js";

/** The exchange's buttons work. Without an id nothing is stored, so nothing can be shared or judged. */
export function equip(exchange) {
  find("[data-copy]", exchange).addEventListener("click", () => copy(plainText(exchange), "answer.copied"));
  find("[data-print]", exchange).addEventListener("click", () => window.print());
  find("[data-share]", exchange).addEventListener("click", () => share(exchange));
  // Sources of an answer that is on its way come later: their buttons are listened to from here.
  exchange.addEventListener("click", (event) => {
    const button = event.target.closest("[data-right]");
    if (button) approve(exchange, button);
  });
  const feedback = find("[data-feedback]", exchange);
  for (const button of findAll("[data-verdict]", feedback)) {
    button.addEventListener("click", () => judge(exchange, feedback, button));
  }
  find("form", feedback).addEventListener("submit", (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const reason = form.get("reason") ?? "";
    send(exchange, feedback, { verdict: "not_helpful", reason, comment: form.get("comment") });
  });
}

/** The exchange is stored under this id, or nowhere. */
export function identify(exchange, id) {
  if (id) exchange.dataset.id = id;
  find("[data-share]", exchange).hidden = !id;
  find("[data-feedback]", exchange).hidden = !id;
  for (const part of findAll("[data-approval]", exchange)) part.hidden = !id;
}

function plainText(exchange) {
  const question = find('[data-slot="question"]', exchange).textContent;
  const lines = [question, ""];
  const runs = findAll("[data-runs] .run, [data-more][open] .run", exchange);
  for (const run of runs) {
    const marks = findAll("[data-cite]", run).map((mark) => `[${mark.textContent}]`);
    for (const step of findAll(".step", run)) {
      const number = find(".step-number", step).textContent;
      const words = find("p", step).textContent.trim();
      lines.push(`${number ? `${number}. ` : ""}${words} ${marks.join("")}`);
    }
  }
  if (!runs.length) lines.push(find('[data-slot="abstention"]', exchange).textContent);
  const sources = findAll("[data-source]:not(.source-unused)", exchange);
  if (sources.length) lines.push("", t("source.title"));
  for (const source of sources) {
    const link = find(".source-name a", source);
    lines.push(`[${find(".tint-number", source).textContent}] ${link.textContent}, ${link.href}`);
  }
  return lines.join("\n");
}

async function share(exchange) {
  const url = new URL(`/answers/${exchange.dataset.id}`, location.href).href;
  const title = find('[data-slot="question"]', exchange).textContent;
  if (navigator.share && matchMedia("(pointer: coarse)").matches) {
    await navigator.share({ title, url }).catch(() => {});
    return;
  }
  await copy(url, "answer.link_copied");
}

async function copy(text, done) {
  try {
    await navigator.clipboard.writeText(text);
    toast(t(done));
  } catch {
    toast(t(copyByHand(text) ? done : "answer.copy_failed"));
  }
}

/** Where the page came without TLS, browsers offer only the old way. */
function copyByHand(text) {
  const field = document.createElement("textarea");
  field.value = text;
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  return copied;
}

function judge(exchange, feedback, button) {
  const why = find("form", feedback);
  if (button.dataset.verdict === "not_helpful") {
    why.hidden = !why.hidden;
    button.setAttribute("aria-expanded", String(!why.hidden));
    if (!why.hidden) find("input", why).focus();
    return;
  }
  why.hidden = true;
  send(exchange, feedback, { verdict: button.dataset.verdict });
}

async function send(exchange, feedback, body) {
  const failure = find("[data-failure]", feedback);
  const buttons = findAll("button", feedback);
  failure.hidden = true;
  for (const button of buttons) button.disabled = true;
  try {
    const headers = { "Idempotency-Key": `feedback-${exchange.dataset.id}-${body.verdict}` };
    await request(`/api/v1/interactions/${exchange.dataset.id}/feedback`, { method: "POST", body, headers });
    find("form", feedback).hidden = true;
    const thanks = find("[data-thanks]", feedback);
    thanks.hidden = false;
    for (const button of findAll("[data-verdict]", feedback)) {
      button.setAttribute("aria-pressed", String(button.dataset.verdict === body.verdict));
    }
    toast(thanks.textContent);
  } catch (error) {
    failure.textContent = error.advice ?? String(error);
    failure.hidden = false;
    for (const button of buttons) button.disabled = false;
  }
}

/** A source is said to be the right one for the question: kept with the answer, once. */
async function approve(exchange, button) {
  if (button.getAttribute("aria-disabled") === "true") return;
  const source = button.closest("[data-source]");
  const failure = find("[data-failure]", source);
  const { id } = exchange.dataset;
  const scenario_id = source.dataset.source;
  failure.hidden = true;
  button.setAttribute("aria-disabled", "true");
  try {
    const headers = { "Idempotency-Key": `right-${id}-${scenario_id}` };
    const body = { verdict: "helpful", scenario_id };
    await request(`/api/v1/interactions/${id}/feedback`, { method: "POST", body, headers });
    button.setAttribute("aria-pressed", "true");
    toast(t("source.right.thanks"));
  } catch (error) {
    button.removeAttribute("aria-disabled");
    failure.textContent = error.advice ?? String(error);
    failure.hidden = false;
  }
}
