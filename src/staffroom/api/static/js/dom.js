// Elements: found, made, filled from templates that the server rendered, and announced.

export const find = (selector, root = document) => root.querySelector(selector);
export const findAll = (selector, root = document) => [...root.querySelectorAll(selector)];

/** A new element. `on…` properties listen, `dataset` and `class` are set, false and null left out. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2).toLowerCase(), value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** The content of a `<template id=…>` that a macro rendered: its first element, ready to fill. */
export function clone(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

/**
 * Fills the elements with `data-slot=NAME`: a string becomes text, nodes become children, null or
 * an empty string hides the slot's `data-optional` ancestor, or itself.
 */
export function fill(root, slots) {
  for (const [name, value] of Object.entries(slots)) {
    for (const slot of findAll(`[data-slot="${name}"]`, root)) {
      const missing = value === null || value === undefined || value === "" || value.length === 0;
      (slot.closest("[data-optional]") ?? slot).hidden = missing;
      if (missing) slot.replaceChildren();
      else slot.replaceChildren(...(Array.isArray(value) ? value : [value]));
    }
  }
  return root;
}

/** Says it to those who listen instead of looking. The same words twice are said twice. */
export function announce(text) {
  const region = document.getElementById("announcer");
  region.textContent = "";
  setTimeout(() => {
    region.textContent = text;
  }, 60);
}

/** Shows a short message for a moment, and says it. */
export function toast(text) {
  const shown = h("div", { class: "toast" }, text);
  document.getElementById("toasts").append(shown);
  announce(text);
  setTimeout(() => shown.remove(), 5000);
}

/** Waits until nothing was called for a while; the last call counts. */
export function debounce(work, milliseconds = 250) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...values), milliseconds);
  };
}

/** An icon of the sheet that the page carries. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `/static/icons.svg#${name}`);
  svg.append(use);
  return svg;
}
