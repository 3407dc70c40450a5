// Points in time by the reader's clock, in the page's language and the reader's own form of it.

import { language } from "./texts.js";

const own = navigator.languages.find((name) => name.split("-")[0] === language) ?? language;
const format = new Intl.DateTimeFormat(own, { dateStyle: "medium", timeStyle: "short" });

/** Such as 22 Nov 2027, 23:14. */
export const moment = (iso) => format.format(new Date(iso));
