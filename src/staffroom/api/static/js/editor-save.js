// Saving: once for each wish, however often it is sent; on what the form was made from; and when
// somebody else was faster, the reader decides.

import { Problem, send } from "./api.js";
import { choose, differences } from "./editor-conflict.js";
import { FIELDS, changes, payload, plain } from "./editor-form.js";
import { newKey } from "./idempotency.js";

/** After these it may have been stored all the same. */
const UNCERTAIN = [0, 409, 503];

/** A write of the form, with a key of its own until its body changes or it has succeeded. */
class Write {
  constructor() {
    this.sent = null;
  }

  async send(path, method, body, headers = {}) {
    const text = JSON.stringify(body);
    if (this.sent?.method !== method || this.sent.text !== text) {
      this.sent = { key: newKey(), method, text, body };
    }
    try {
      const options = { method, body, headers: { ...headers, "Idempotency-Key": this.sent.key } };
      const stored = await (await send(path, options)).json();
      this.sent = null;
      return stored;
    } catch (error) {
      if (!UNCERTAIN.includes(error.status)) this.sent = null;
      throw error;
    }
  }
}

/**
 * Stores the form. `source` is what it was made from: `{id, revision, status, base}`, changed as
 * the library's copy changes. `take(theirs, mine)` shows the other
 * person's version in the form, and sets mine aside.
 */
export function saver(source, take) {
  const write = new Write();

  /** The stored scenario; null if there was nothing to change, or the reader goes on writing. */
  async function save(values, status, reason) {
    if (!source.id) return create(values, status);
    return change(values, status, reason);
  }

  async function create(values, status) {
    const body = { ...payload(values), status };
    const lost = write.sent;
    if (lost?.method === "POST" && lost.text !== JSON.stringify(body)) {
      // The answer to an earlier attempt was lost, so it may have been stored. Sent again it is
      // stored once, and then changed to what the form says now.
      use(await write.send("/api/v1/scenarios", "POST", lost.body), lost.body);
      return change(values, status, "");
    }
    return use(await write.send("/api/v1/scenarios", "POST", body), values);
  }

  async function change(values, status, reason) {
    const body = payload(values, Object.keys(changes(values, source.base)));
    if (status !== source.status) body.status = status;
    if (!Object.keys(body).length) return null;
    if (reason) body.reason = reason;
    try {
      const path = `/api/v1/scenarios/${source.id}`;
      const headers = { "If-Match": `"${source.revision}"` };
      return use(await write.send(path, "PATCH", body, headers), values);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 412) throw error;
    }
    return settle(values, status, reason);
  }

  /** Somebody else saved first. Nothing is asked if both say the same where both changed it. */
  async function settle(values, status, reason) {
    const theirs = plain(await (await send(`/api/v1/scenarios/${source.id}`)).json());
    const found = differences(source.base, theirs, values);
    const choice = found.length ? await choose(theirs.revision, found) : "keep";
    if (choice === "continue") return null;
    const merged = { ...values };
    for (const { name, isClash } of found) if (!isClash) merged[name] = theirs[name];
    if (choice === "take") {
      use(theirs, theirs);
      take(theirs, merged);
      return null;
    }
    const wanted = status === source.status ? theirs.status : status;
    use(theirs, theirs);
    return change(merged, wanted, reason).then((saved) => saved ?? theirs);
  }

  /** The library's copy is what the form is made from now. */
  function use(stored, values) {
    source.id = stored.id;
    source.revision = stored.revision;
    source.status = stored.status;
    source.base = Object.fromEntries(FIELDS.map((name) => [name, values[name] ?? ""]));
    return stored;
  }

  return { save };
}
