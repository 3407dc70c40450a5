// A chart is read column by column: pointed at, or walked through with the arrow keys.

import { find, findAll, h } from "./dom.js";
import { t } from "./texts.js";

/** Pixels between a column and what it says. */
const GAP = 8;

const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -7, PageUp: 7 };

/** The chart's table says what each column holds: one row for one column. */
export function readable(figure) {
  const plot = find("[data-plot]", figure);
  const names = findAll("thead th", figure).map((cell) => cell.textContent);
  const rows = findAll("tbody tr", figure).map((row) => [...row.cells].map((cell) => cell.textContent));
  const band = h("div", { class: "chart-band", hidden: true });
  const tip = h("div", { class: "chart-tip", "aria-hidden": "true", hidden: true });
  const cursor = h("div", {
    class: "chart-cursor",
    role: "slider",
    tabindex: "0",
    "aria-label": t(figure.dataset.cursor, { title: figure.dataset.chart }),
    "aria-orientation": "horizontal",
    "aria-valuemin": "1",
    "aria-valuemax": String(rows.length),
  });
  let shown = rows.length - 1;

  const said = (row) => [row[0], ...row.slice(1).map((value, n) => `${names[n + 1]} ${value}`)].join(", ");

  function point(column) {
    shown = Math.min(rows.length - 1, Math.max(0, column));
    cursor.setAttribute("aria-valuenow", String(shown + 1));
    cursor.setAttribute("aria-valuetext", said(rows[shown]));
  }

  function show() {
    const row = rows[shown];
    const facts = row.slice(1).flatMap((value, n) => [h("dt", {}, names[n + 1]), h("dd", {}, value)]);
    tip.replaceChildren(h("div", { class: "chart-tip-day" }, row[0]), h("dl", {}, ...facts));
    band.hidden = tip.hidden = false;
    const width = 100 / rows.length;
    band.style.left = `${width * shown}%`;
    band.style.width = `${width}%`;
    const whole = cursor.clientWidth;
    const beside = shown < rows.length / 2
      ? (whole * width * (shown + 1)) / 100 + GAP
      : (whole * width * shown) / 100 - GAP - tip.offsetWidth;
    tip.style.left = `${Math.max(0, Math.min(whole - tip.offsetWidth, beside))}px`;
  }

  const hide = () => {
    band.hidden = tip.hidden = true;
  };

  function follow(event) {
    const box = cursor.getBoundingClientRect();
    point(Math.floor(((event.clientX - box.left) / box.width) * rows.length));
    show();
  }

  function move(event) {
    if (event.key === "Escape") return hide();
    const goal = { Home: 0, End: rows.length - 1 }[event.key] ?? shown + (STEPS[event.key] ?? NaN);
    if (Number.isNaN(goal)) return;
    event.preventDefault();
    point(goal);
    show();
  }

  cursor.addEventListener("pointermove", follow);
  cursor.addEventListener("pointerdown", follow);
  cursor.addEventListener("pointerleave", hide);
  cursor.addEventListener("focus", () => cursor.matches(":focus-visible") && show());
  cursor.addEventListener("blur", hide);
  cursor.addEventListener("keydown", move);
  point(shown);
  plot.append(band, cursor, tip);
}
