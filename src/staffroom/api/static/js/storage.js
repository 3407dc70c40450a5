// What this device keeps. Where storage is forbidden, nothing is kept and nothing fails.

const PREFIX = "staffroom.";

export function recall(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export function keep(name, value) {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    /* Full or forbidden: the page works without. */
  }
}
