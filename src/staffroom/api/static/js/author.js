// Who makes a change: what was typed once stands in every such field, and is sent with every change.

import { findAll } from "./dom.js";

const SECONDS = 365 * 24 * 3600;

document.addEventListener("input", ({ target }) => {
  if (target.name !== "author") return;
  const name = encodeURIComponent(target.value.trim());
  document.cookie = `staffroom_author=${name}; path=/; max-age=${SECONDS}; samesite=lax`;
  for (const other of findAll('input[name="author"]')) {
    if (other !== target) other.value = target.value;
  }
});
