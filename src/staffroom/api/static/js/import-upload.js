// A file on its way to the server, with how much of it has arrived: fetch cannot tell that.

import { Problem } from "./api.js";

/**
 * The import that the server made of the file. `key` makes the same upload, sent twice, one import;
 * `onProgress(done, total)` hears of the bytes. Throws Problem, or AbortError after the signal.
 */
export function upload(file, { isDryRun, keepsDuplicates, reading, key, signal, onProgress }) {
  const form = new FormData();
  form.append("dry_run", String(isDryRun));
  form.append("keep_duplicates", String(keepsDuplicates));
  for (const [name, value] of Object.entries(reading)) form.append(name, value);
  form.append("file", file);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/api/v1/imports");
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Idempotency-Key", key);
    request.upload.addEventListener("progress", ({ loaded, total }) => onProgress(loaded, total));
    request.addEventListener("load", () => {
      const document = parsed(request.responseText);
      // 200: the same import of this file is under way already; it is that one.
      if (request.status === 202 || request.status === 200) resolve(document);
      else reject(problem(request, document));
    });
    request.addEventListener("error", () => reject(new Problem({ status: 0 })));
    request.addEventListener("abort", () => reject(new DOMException("stopped", "AbortError")));
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

function problem(request, document) {
  const retryAfter = Number(request.getResponseHeader("Retry-After")) || null;
  const { status, statusText: title } = request;
  return new Problem({ title, ...document, status, retryAfter });
}
