// Progressive enhancement: every page works without scripts. Delegated handlers for data-* attributes.
document.documentElement.classList.add("js");

// Show and hide a password. The label does not change; aria-pressed has the state.
document.addEventListener("click", (event) => {
  const reveal = event.target.closest("[data-reveal]");
  if (!reveal) return;
  const field = document.getElementById(reveal.dataset.reveal);
  const isVisible = field.type === "text";
  field.type = isVisible ? "password" : "text";
  reveal.setAttribute("aria-pressed", String(!isVisible));
});

// Hide a visible password again before the form is submitted.
// The pressed button is then busy, so that a second click does not submit the form again.
document.addEventListener("submit", (event) => {
  for (const reveal of event.target.querySelectorAll("[data-reveal][aria-pressed=true]")) reveal.click();
  event.submitter?.setAttribute("aria-busy", "true");
});

// After navigating back, the form can be submitted again.
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
});

// The server writes instants in UTC; show them in the time zone of the browser.
const { lang } = document.documentElement;
const local = new Intl.DateTimeFormat(lang === "en" ? "en-GB" : lang, { dateStyle: "full", timeStyle: "short" });
for (const time of document.querySelectorAll("time[data-zone]")) time.textContent = local.format(new Date(time.dateTime));
