// Enhancement only: the panel does everything without it. Behaviour hangs on data-* attributes, by delegation.

// How many characters of a text are left.
document.addEventListener("input", (event) => {
  const counter = event.target.dataset?.count && document.getElementById(event.target.dataset.count);
  if (counter) counter.textContent = `${event.target.value.length} / ${event.target.maxLength}`;
});

// "/" leads to the search, unless something is being typed.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.closest("input, textarea, select")) return;
  const search = document.querySelector("[type=search]");
  if (!search) return;
  event.preventDefault();
  search.focus();
});

document.addEventListener("click", async (event) => {
  // A message of the last action goes away where it stands, without loading the page again.
  const dismiss = event.target.closest("[data-dismiss]");
  if (dismiss) {
    event.preventDefault();
    document.getElementById(dismiss.dataset.dismiss)?.remove();
    document.getElementById("main")?.focus();
    return;
  }
  // Copy what stands in a field; the button says so for a moment.
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    const field = document.getElementById(copy.dataset.copy);
    await navigator.clipboard.writeText(field.value ?? field.textContent);
    copy.setAttribute("data-copied", "");
    setTimeout(() => copy.removeAttribute("data-copied"), 2000);
  }
});

// Tick or untick every row of the page.
document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-tick-all]")) return;
  for (const tick of event.target.closest("form").querySelectorAll("input.tick[name]")) tick.checked = event.target.checked;
});
