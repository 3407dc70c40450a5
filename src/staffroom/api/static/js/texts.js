// The interface's texts: the same catalogue and the same rules as on the server (api/page/texts.py).

export const language = document.documentElement.lang;

const response = await fetch(`/static/texts/${language}.json`);
const catalogue = await response.json();

/** The text of a key. `{name}` is replaced; with a `count`, KEY.one or KEY.other is taken. */
export function t(key, values = {}) {
  let found = key;
  if ("count" in values && !(key in catalogue)) {
    found = `${key}.${values.count === 1 ? "one" : "other"}`;
  }
  if (!(found in catalogue)) throw new Error(`there is no text ${found}`);
  return catalogue[found].replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** There is a text with that key. */
export const has = (key) => key in catalogue;

/** A date in words, such as 30 November 2027. Takes the first ten characters of an ISO date. */
export function day(iso) {
  if (!iso) return "";
  const [year, month, date] = iso.slice(0, 10).split("-").map(Number);
  return t("date.long", { day: date, month: t(`date.month.${month}`), year });
}

/** Relevance in words: how near the scenario came to the question. */
export function nearness(relevance) {
  if (relevance >= 0.7) return t("relevance.close");
  return relevance >= 0.3 ? t("relevance.likely") : t("relevance.distant");
}

/** A number of 0 to 1 with two decimals, as everywhere on the page. */
export const decimal = (value) => value.toFixed(2);
