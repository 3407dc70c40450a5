// What was typed and not saved yet stays on this device, for each open form on its own.

import { keep, recall } from "./storage.js";

const NAME = "editor.drafts";
const MOST = 20;
const own = String(crypto.getRandomValues(new Uint32Array(2)));

const all = () => recall(NAME, []);

/**
 * What the form says is kept, in place of what it said before. Of a scenario in the library it is
 * only the changes to that revision: restored later, they must not undo somebody else's.
 */
export function keepDraft({ id, revision }, changes, form = own) {
  const others = all().filter((draft) => draft.form !== form);
  const draft = { form, scenario: id, revision, changes, at: new Date().toISOString() };
  keep(NAME, [draft, ...others].slice(0, MOST));
}

/** A copy that stays when the form goes on with something else. */
export function setAside(source, changes) {
  keepDraft(source, changes, `${own}-${Date.now()}`);
}

/** Drafts of the scenario that other forms left, newest first. */
export function leftDrafts(scenario) {
  return all().filter((draft) => draft.scenario === scenario && draft.form !== own);
}

export function dropDraft(form = own) {
  keep(NAME, all().filter((draft) => draft.form !== form));
}
