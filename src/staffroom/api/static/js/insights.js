// Insights: the period changes in place, and each chart can be read day by day.

import { swap } from "./api.js";
import { readable } from "./chart.js";
import { announce, find, findAll, toast } from "./dom.js";
import { t } from "./texts.js";

let loading = new AbortController();

/** Another period takes the place of this one; the address is the one that a link would have. */
async function load(address) {
  loading.abort();
  loading = new AbortController();
  const { signal } = loading;
  const region = find("#insights");
  region.setAttribute("aria-busy", "true");
  announce(t("common.loading"));
  try {
    await swap(address, ["insights", "periods"], { signal });
  } catch (error) {
    if (error.name === "AbortError") return false;
    region.removeAttribute("aria-busy");
    toast(error.advice ?? t("problem.defect"));
    return false;
  }
  prepare();
  const current = find("#periods [aria-current]");
  announce(t("insights.period.loaded", { days: current?.dataset.days ?? "" }));
  return true;
}

function prepare() {
  findAll("#insights figure[data-chart]").forEach(readable);
  for (const link of findAll("#periods a")) link.addEventListener("click", choose);
}

async function choose(event) {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const address = event.currentTarget.href;
  if (!(await load(address))) return;
  history.pushState(null, "", address);
  find("#periods [aria-current]")?.focus();
}

addEventListener("popstate", () => load(location.href));
prepare();
