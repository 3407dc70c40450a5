// A numbered list goes on by itself: Enter at the end of a step begins the next one.

const STEP = /^(\s*)(\d{1,2})([.)])\s+(.*)$/;

/** Enter in the field continues a numbered step, or ends the list if the step is empty. */
export function continueSteps(field) {
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    const { selectionStart: at, selectionEnd: end, value } = field;
    const begin = value.lastIndexOf("\n", at - 1) + 1;
    const step = at === end && STEP.exec(value.slice(begin, at));
    if (!step) return;
    event.preventDefault();
    const [, indent, number, mark, words] = step;
    if (!words.trim()) {
      field.setSelectionRange(begin, at);
      write("");
    } else {
      write(`\n${indent}${Number(number) + 1}${mark} `);
    }
  });
}

/** As if it were typed, so that it can be undone and the page hears of it. */
function write(text) {
  document.execCommand(text ? "insertText" : "delete", false, text);
}
