// A sentence lights up its source, and a source its sentences: by pointer, keyboard and touch.

import { findAll } from "./dom.js";

/** Everything in the exchange that belongs to these scenarios is lit; with none, nothing is. */
function light(exchange, ids) {
  for (const said of findAll(".said", exchange)) {
    const cited = said.dataset.cites.trim().split(" ");
    said.classList.toggle("is-lit", cited.some((id) => ids.includes(id)));
  }
  for (const source of findAll("[data-source]", exchange)) {
    source.classList.toggle("is-lit", ids.includes(source.dataset.source));
  }
}

function meant(target) {
  const said = target.closest?.(".said");
  if (said) return said.dataset.cites.trim().split(" ");
  const cite = target.closest?.("[data-cite]");
  if (cite) return [cite.dataset.cite];
  const source = target.closest?.("[data-source]");
  return source ? [source.dataset.source] : [];
}

/** From now on the exchange lights up what belongs together. */
export function enlighten(exchange) {
  const show = (event) => light(exchange, meant(event.target));
  const hide = (event) => {
    if (!exchange.contains(event.relatedTarget)) light(exchange, []);
  };
  exchange.addEventListener("pointerover", show);
  exchange.addEventListener("pointerout", hide);
  exchange.addEventListener("focusin", show);
  exchange.addEventListener("focusout", hide);
  exchange.addEventListener("click", show);
}
