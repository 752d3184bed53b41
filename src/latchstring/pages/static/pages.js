// Enhancement only: every page works without it. Behaviour hangs on data-* attributes, by delegation.
document.documentElement.classList.add("js");

// Show and hide a password. The words stay; aria-pressed tells the state.
document.addEventListener("click", (event) => {
  const reveal = event.target.closest("[data-reveal]");
  if (!reveal) return;
  const field = document.getElementById(reveal.dataset.reveal);
  const shown = field.type === "text";
  field.type = shown ? "password" : "text";
  reveal.setAttribute("aria-pressed", String(!shown));
});

// A password never leaves, nor stays on the screen, as readable text: hide it again before the form goes out.
// The pressed button then waits, so that an impatient second press does not send the form again.
document.addEventListener("submit", (event) => {
  for (const reveal of event.target.querySelectorAll("[data-reveal][aria-pressed=true]")) reveal.click();
  event.submitter?.setAttribute("aria-busy", "true");
});

// Coming back by the browser's history finds a form that can be sent again.
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
});

// The server writes instants in UTC; the browser knows the zone of the person in front of it.
const { lang } = document.documentElement;
const local = new Intl.DateTimeFormat(lang === "en" ? "en-GB" : lang, { dateStyle: "full", timeStyle: "short" });
for (const time of document.querySelectorAll("time[data-zone]")) time.textContent = local.format(new Date(time.dateTime));
