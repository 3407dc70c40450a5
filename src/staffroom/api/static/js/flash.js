// A message for the next page: what was done just before the browser went there.

import { toast } from "./dom.js";

const KEY = "staffroom.flash";

/** The next page of this tab shows the text for a moment. */
export function leave(text) {
  try {
    sessionStorage.setItem(KEY, text);
  } catch {
    /* Storage may be forbidden; then the next page speaks for itself. */
  }
}

try {
  const text = sessionStorage.getItem(KEY);
  sessionStorage.removeItem(KEY);
  if (text) toast(text);
} catch {
  /* As above. */
}
