// Progressive enhancement: the panel works without scripts. Delegated handlers for data-* attributes.

// Character counter of a text field.
document.addEventListener("input", (event) => {
  const counter = event.target.dataset?.count && document.getElementById(event.target.dataset.count);
  if (counter) counter.textContent = `${event.target.value.length} / ${event.target.maxLength}`;
});

// "/" focuses the search, unless a field has the focus.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.closest("input, textarea, select")) return;
  const search = document.querySelector("[type=search]");
  if (!search) return;
  event.preventDefault();
  search.focus();
});

document.addEventListener("click", async (event) => {
  // Dismiss the flash message without reloading the page.
  const dismiss = event.target.closest("[data-dismiss]");
  if (dismiss) {
    event.preventDefault();
    document.getElementById(dismiss.dataset.dismiss)?.remove();
    document.getElementById("main")?.focus();
    return;
  }
  // Copy the content of a field; the button shows it for two seconds.
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    const field = document.getElementById(copy.dataset.copy);
    await navigator.clipboard.writeText(field.value ?? field.textContent);
    copy.setAttribute("data-copied", "");
    setTimeout(() => copy.removeAttribute("data-copied"), 2000);
  }
});

// Select or deselect every row of the page.
document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-tick-all]")) return;
  for (const tick of event.target.closest("form").querySelectorAll("input.tick[name]")) tick.checked = event.target.checked;
});

// Update the preview of a mail while the form is edited: submit the form into a hidden frame, and show it once loaded.
// Each update uses a new frame, because the first document of a frame adds no history entry: Back still leaves the page.
const previewSoon = new WeakMap();
let previewNumber = 0; // browsers may find a renamed frame by its first name, so no name is used twice

function showPreview(form) {
  const old = document.getElementById(form.dataset.preview);
  if (!old) return;
  const next = old.cloneNode();
  next.removeAttribute("src");
  next.removeAttribute("id");
  next.name = `${form.dataset.preview}-${(previewNumber += 1)}`;
  next.classList.add("preview__frame--next");
  next.setAttribute("aria-hidden", "true");
  document.querySelectorAll(".preview__frame--next").forEach((late) => late.remove());
  old.after(next);
  const button = document.querySelector(`[formtarget="${form.dataset.preview}"]`);
  const attributes = ["action", "target"].map((name) => [name, form.getAttribute(name)]);
  form.setAttribute("action", button.getAttribute("formaction"));
  form.setAttribute("target", next.name);
  next.addEventListener("load", () => {
    if (!next.isConnected) return;
    old.remove();
    next.id = form.dataset.preview;
    next.classList.remove("preview__frame--next");
    next.removeAttribute("aria-hidden");
  });
  HTMLFormElement.prototype.submit.call(form);
  for (const [name, value] of attributes) value === null ? form.removeAttribute(name) : form.setAttribute(name, value);
}

document.addEventListener("input", (event) => {
  const form = event.target.form;
  if (!form?.dataset.preview || event.target.type === "search") return;
  clearTimeout(previewSoon.get(form));
  previewSoon.set(form, setTimeout(() => showPreview(form), 400));
});

document.addEventListener("submit", (event) => {
  if (!event.submitter?.hasAttribute("formtarget")) return;
  event.preventDefault();
  event.submitter.removeAttribute("aria-busy");
  showPreview(event.target);
});

for (const form of document.querySelectorAll("form[data-preview-now]")) showPreview(form);
