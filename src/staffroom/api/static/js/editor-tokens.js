// Several words in one field: Enter or a comma adds one, Backspace in the empty field takes the
// last one away, the arrow keys go through the suggestions.

import { announce, clone, fill, find, findAll } from "./dom.js";
import { t } from "./texts.js";

const MARKS = /[,;\n]/;
const plain = (text) => text.trim().toLowerCase();
const wordsOf = (option) => [option.dataset.value, option.textContent].map(plain);

/** A field of tokens that the server rendered; `changed` is called when a token comes or goes. */
export function tokens(root, changed) {
  const input = find(".tokens-input", root);
  const chosen = find(".tokens-chosen", root);
  const list = find(".tokens-options", root);
  const options = findAll("[role=option]", list);
  let active = null;

  const read = () => findAll(".token", chosen).map((token) => token.dataset.value);

  const known = (text) => options.find((option) => wordsOf(option).includes(plain(text)));

  function place(text) {
    const option = known(text);
    const value = option?.dataset.value ?? text.trim();
    if (!value || read().includes(value)) return null;
    const shown = option?.textContent ?? value;
    const token = fill(clone("token-template"), { shown });
    token.dataset.value = value;
    const label = t("editor.token.remove", { value: shown });
    find("[data-remove]", token).setAttribute("aria-label", label);
    chosen.append(token);
    return shown;
  }

  function add(text) {
    const added = text.split(MARKS).map(place).filter(Boolean);
    input.value = "";
    close();
    if (!added.length) return;
    announce(t("editor.token.added", { value: added.join(", ") }));
    changed();
  }

  function remove(token) {
    const value = find("[data-slot=shown]", token).textContent;
    token.remove();
    input.focus();
    announce(t("editor.token.removed", { value }));
    changed();
  }

  function mark(option) {
    active?.setAttribute("aria-selected", "false");
    active = option;
    active?.setAttribute("aria-selected", "true");
    active?.scrollIntoView({ block: "nearest" });
    if (active) input.setAttribute("aria-activedescendant", active.id);
    else input.removeAttribute("aria-activedescendant");
  }

  function show(is) {
    list.hidden = !is;
    if (options.length) input.setAttribute("aria-expanded", String(is));
  }

  function close() {
    mark(null);
    show(false);
  }

  /** The suggestions that hold what was typed and are not chosen yet. */
  function open() {
    const typed = plain(input.value);
    const taken = read();
    for (const option of options) {
      const fits = wordsOf(option).some((word) => word.includes(typed));
      option.hidden = !fits || taken.includes(option.dataset.value);
    }
    mark(null);
    show(options.some((option) => !option.hidden));
  }

  function move(step) {
    if (list.hidden) open();
    const shown = options.filter((option) => !option.hidden);
    if (!shown.length) return;
    const from = active ? shown.indexOf(active) : step > 0 ? -1 : 0;
    mark(shown[(from + step + shown.length) % shown.length]);
  }

  const keys = {
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    Enter: () => add(active ? active.dataset.value : input.value),
    ",": () => add(input.value),
  };

  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (keys[event.key]) {
      event.preventDefault();
      keys[event.key]();
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      close();
    } else if (event.key === "Backspace" && !input.value) {
      const last = findAll(".token", chosen).at(-1);
      if (last) remove(last);
    }
  });
  input.addEventListener("input", () => (MARKS.test(input.value) ? add(input.value) : open()));
  input.addEventListener("blur", () => add(input.value));
  input.addEventListener("click", open);
  // Before the field loses the focus, which would close the list.
  list.addEventListener("mousedown", (event) => {
    event.preventDefault();
    const option = event.target.closest("[role=option]");
    if (option) add(option.dataset.value);
  });
  chosen.addEventListener("click", (event) => {
    const button = event.target.closest("[data-remove]");
    if (button) remove(button.closest(".token"));
  });
  find(".tokens-box", root).addEventListener("click", (event) => {
    if (event.target.closest("button") || event.target === input) return;
    input.focus();
    open();
  });

  return {
    read,
    write(values) {
      chosen.replaceChildren();
      values.forEach(place);
    },
  };
}
