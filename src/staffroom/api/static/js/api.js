// The API as the page calls it: problems are thrown, event streams are read as they come.

import { t } from "./texts.js";

/** What went wrong, as the server told it (RFC 9457), or status 0 when nothing could be reached. */
export class Problem extends Error {
  constructor({ status = 0, title = "", detail = "", errors = [], retryAfter = null, type = "" }) {
    super(detail || title);
    Object.assign(this, { status, title, detail, errors, retryAfter, type });
  }

  /** What to tell the reader: what happened and the next step. */
  get advice() {
    if (this.status === 0) return t("problem.offline");
    if (this.status === 401) return t("problem.signed_out");
    if (this.status === 503) return t("problem.busy");
    if (this.status >= 500) return t("problem.defect");
    return this.detail || this.title;
  }
}

/** The response, once it is good. `body` is sent as JSON, a FormData as it is. */
export async function send(path, { method = "GET", body, headers = {}, signal } = {}) {
  const isForm = body instanceof FormData;
  const options = { method, signal, headers: { Accept: "application/json", ...headers } };
  if (body !== undefined) {
    options.body = isForm ? body : JSON.stringify(body);
    if (!isForm) options.headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ status: 0 });
  }
  if (!response.ok) throw await problem(response);
  return response;
}

/** The JSON document that a path answers with; null if it has no content. */
export async function request(path, options) {
  const response = await send(path, options);
  return response.status === 204 ? null : response.json();
}

/** The events of a stream, `{event, data}` with parsed data. An `error` event is thrown. */
export async function* events(path, options = {}) {
  const headers = { Accept: "text/event-stream", ...options.headers };
  const response = await send(path, { ...options, headers });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await read(reader);
      if (done) return;
      rest += value.replaceAll("\r", "");
      const blocks = rest.split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const found = parsed(block);
        if (found?.event === "error") throw new Problem(found.data);
        if (found) yield found;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** The page at a path, of which the elements with these ids take the place of those shown. */
export async function swap(path, ids, { signal } = {}) {
  const response = await send(path, { headers: { Accept: "text/html" }, signal });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const id of ids) {
    const next = page.getElementById(id);
    if (next) document.getElementById(id)?.replaceWith(next);
  }
  return page;
}

async function read(reader) {
  try {
    return await reader.read();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ status: 0 });
  }
}

async function problem(response) {
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  try {
    return new Problem({ ...(await response.json()), status: response.status, retryAfter });
  } catch {
    return new Problem({ status: response.status, title: response.statusText, retryAfter });
  }
}

function parsed(block) {
  let event = "message";
  const data = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) event = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
  }
  return data.length ? { event, data: JSON.parse(data.join("\n")) } : null;
}
