// A stored answer: its sources light up and its buttons work.

import { equip, identify } from "./actions.js";
import { findAll } from "./dom.js";
import { enlighten } from "./light.js";

for (const exchange of findAll("[data-exchange]")) {
  enlighten(exchange);
  equip(exchange);
  identify(exchange, exchange.dataset.id);
}
