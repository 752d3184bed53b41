// Documents. Every address shows the same page; this script reads the address and fills in the part that belongs to it:
//   /                                              the documents I may read
//   /{contentType}/{contentKey}                    one of them
//   /{contentType}/{contentKey}/accept?token=…     where the link of an invitation leads

const address = new URL(location.href);
const [, contentType, contentKey, isAccept] = address.pathname.match(/^\/([^/]+)\/([^/]+?)(\/accept)?$/) ?? [];
const token = isAccept && address.searchParams.get("token");
// The token is a credential. From here on it is in this variable and nowhere else: not in the address bar, not in the
// history, not in what a reload or another tab would send.
if (isAccept) history.replaceState(null, "", address.pathname);

const object = `/content/${contentType}/${contentKey}`;
const find = (selector, within = document) => within.querySelector(selector);
const MAY = { VIEWER: "read", EDITOR: "edit", MAINTAINER: "edit, and invite others to," };
const HAS = { VIEWER: "may read", EDITOR: "may edit", MAINTAINER: "may edit and invite" };
let me = null; // who is signed in
let etag = null; // the version of the document that is shown
let afterSignIn = () => location.reload();

// ---- asking ---------------------------------------------------------------------------------------------------------

class Problem extends Error {
  constructor(problem) {
    super(problem.detail || problem.title);
    Object.assign(this, { errors: [] }, problem);
  }
}

// Ask Latchstring through our backend, which knows whose session this is. Refusals are thrown, with their `code`.
async function ask(method, path, body, headers = {}) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const answer = await fetch(`/api${path}`, {
    method,
    headers: { ...headers, ...(sent.body && { "Content-Type": "application/json" }) },
    ...sent,
  }).catch(() => {
    throw new Problem({ code: "offline", detail: "The server cannot be reached. Try again in a moment." });
  });
  const said = await answer.json().catch(() => null);
  if (!answer.ok) throw new Problem(said ?? { code: "unavailable", detail: `The server answered ${answer.status}.` });
  return { said, status: answer.status, etag: answer.headers.get("ETag") };
}

// ---- showing --------------------------------------------------------------------------------------------------------

function show(id, title) {
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== id;
  const section = find(`#${id}`);
  const heading = find("h1", section);
  if (title) heading.textContent = title;
  document.title = `${heading.textContent} · Documents`;
  heading.tabIndex = -1;
  heading.focus();
  return section;
}

function notice(words) {
  find("#notice").textContent = words;
  find("#notice").hidden = false;
}

function element(name, words = "", more = {}) {
  return Object.assign(document.createElement(name), { textContent: words }, more);
}

// A row of a list: a line, a smaller line below it, and perhaps something at its end.
function row(line, below, end) {
  const made = element("li");
  const words = element("span");
  words.append(line, element("small", below));
  made.append(words, ...(end ? [end] : []));
  return made;
}

function showWho() {
  find("#me").hidden = !me;
  find("[data-me]").textContent = me?.email ?? "";
}

function showSignIn(title, email = "") {
  const form = find("form", show("sign-in", title));
  form.elements.email.value = email;
}

async function showList() {
  if (!me) return showSignIn("Sign in to see your documents");
  const { said } = await ask("GET", "/content/documents?limit=100");
  const section = show("list");
  find("ul", section).replaceChildren(
    ...said.items.map((one) => {
      const link = element("a", one.title, { href: `/${one.contentType}/${one.key}` });
      return row(link, myPart(one));
    }),
  );
  find(".empty", section).hidden = said.items.length > 0;
  find("form", section).hidden = !me.permissions.some((one) => ["content:create", "*"].includes(one));
}

function myPart({ access }) {
  if (me && access.ownerId === me.id) return "Yours";
  if (access.canDelete) return "You may edit it and invite others";
  return access.canEdit ? "You may edit it" : "You may read it";
}

async function showDocument() {
  let answer;
  try {
    answer = await ask("GET", object);
  } catch (problem) {
    if (problem.code === "unauthenticated" || problem.code === "credential-invalid") {
      return showSignIn("Sign in to open this document");
    }
    if (problem.status !== 404) throw problem;
    return showEnded("There is no such document here", "Or it is not shared with you. Ask whoever told you about it.");
  }
  const one = answer.said;
  etag = answer.etag;
  const section = show("document", one.title);
  find(".facts", section).textContent = `${myPart(one)}. Last changed ${when(one.updatedAt)}.`;
  find(".text", section).textContent = one.data?.text ?? "";
  find("details", section).hidden = !one.access.canEdit;
  const form = find("[data-do=save]").elements;
  form.title.value = one.title;
  form.text.value = one.data?.text ?? "";
  find("#people").hidden = !one.access.canDelete;
  if (one.access.canDelete) showPeople((await ask("GET", `${object}/access`)).said);
}

const when = (instant) => new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" }).format(new Date(instant));

function showPeople(access) {
  const isMine = me && access.ownerId === me.id;
  const users = access.users.map(({ user, role }) => row(user.name || user.email, `${user.email} ${HAS[role]}`));
  find("[data-users]").replaceChildren(row(isMine ? "You" : "Its owner", isMine ? "own it" : "may do everything"), ...users);
  find("[data-invitations]").replaceChildren(...access.invitations.map(showInvitation));
  find("[data-nobody]").hidden = access.invitations.length > 0;
}

function showInvitation({ id, email, role, expiresAt, delivery }) {
  const form = element("form", "", { method: "post" });
  Object.assign(form.dataset, { do: "withdraw", id });
  form.append(element("button", "Withdraw", { ariaLabel: `Withdraw the invitation of ${email}` }));
  const words = [`${HAS[role]} it`, mailWords(delivery), `the link works until ${when(expiresAt)}`];
  return row(email, words.filter(Boolean).join(" · "), form);
}

function mailWords(delivery) {
  const words = {
    QUEUED: "the mail goes out now",
    SENT: "the mail is sent",
    DEFERRED: "the mail is tried again",
    BOUNCED: `the address is refused: ${delivery?.lastReply}`,
    FAILED: `the mail is refused: ${delivery?.lastReply}`,
    SUPPRESSED: "no mail was sent",
  };
  return words[delivery?.state];
}

// ---- the link of an invitation --------------------------------------------------------------------------------------

// Opening the link only looks. Mail scanners open links, too.
async function showOffer() {
  if (!token) return showEnded("This address has no link in it", "Open the link in your mail once more.");
  let offer;
  try {
    offer = (await ask("POST", "/invitations/lookup", { token })).said;
  } catch (problem) {
    return showRefusal(problem);
  }
  const here = offer.content.find((one) => one.contentType === contentType && one.key === contentKey);
  if (!here) return showRefusal({ code: "invitation-mismatch" });
  if (me && me.email.toLowerCase() !== offer.inviteEmail.toLowerCase()) return showRefusal({ code: "wrong-account" });
  const who = offer.invitedBy?.name || "Somebody";
  const section = show("invitation", `${who} invites you to ${MAY[here.role]} “${here.title}”`);
  find("blockquote", section).textContent = offer.message ?? "";
  find("blockquote", section).hidden = !offer.message;
  find("[data-invitee]").textContent = offer.inviteEmail;
  const profile = find("[data-profile]");
  profile.hidden = profile.disabled = offer.accountExists; // what is disabled is neither checked nor sent
  find("button", section).textContent = offer.accountExists ? "Accept and open it" : "Create account and come in";
  const fields = find("form", section).elements;
  fields.firstName.value = offer.firstName ?? "";
  fields.lastName.value = offer.lastName ?? "";
  find("[data-terms]").hidden = fields.acceptTerms.disabled = !offer.termsUrl;
  if (offer.termsUrl) find("[data-terms] a").href = offer.termsUrl;
}

const OVER = {
  "invitation-accepted": ["You are in already", "This invitation has been accepted. Sign in, and find the document in your list."],
  "invitation-declined": ["You declined this invitation", "Ask for a new one if you changed your mind."],
  "invitation-revoked": ["This invitation was withdrawn", "Ask whoever invited you."],
  "invitation-superseded": ["There is a newer link", "Look for a later mail, or have another one sent.", "askForNew"],
  "invitation-expired": ["This link has run out", "The invitation has not: have a new link sent to your mailbox.", "askForNew"],
  "invitation-token-invalid": ["This link is not complete", "Copy the whole address from your mail."],
  "invitation-mismatch": ["This link is for another document", "Open the link in your mail once more."],
  "inviter-not-allowed": ["This invitation has lost its ground", "Whoever sent it may not invite to this document any more."],
  "account-blocked": ["This account is blocked", "Ask whoever invited you."],
};

function showRefusal(problem) {
  if (problem.code === "wrong-account") {
    const words = `You are signed in as ${me?.email}. The invitation is for somebody else.`;
    return showEnded("This is somebody else’s invitation", words, "switchAccount");
  }
  if (!(problem.code in OVER)) throw problem;
  return showEnded(...OVER[problem.code]);
}

function showEnded(title, words, way) {
  const section = show("ended", title);
  find(".lead", section).textContent = words;
  for (const form of section.querySelectorAll("form")) form.hidden = form.dataset.do !== way;
}

// ---- acting: each form names one of these ---------------------------------------------------------------------------

const actions = {
  async signIn({ email, password }) {
    await ask("POST", "/auth/login", { email, password });
    await afterSignIn();
  },

  async signOut() {
    await ask("POST", "/auth/logout");
    location.assign("/");
  },

  async create({ title }) {
    const { said } = await ask("POST", "/content/documents", { title, data: { text: "" } });
    location.assign(`/${said.contentType}/${said.key}`);
  },

  // If-Match: whoever saved in between is not overwritten.
  async save({ title, text }) {
    try {
      await ask("PATCH", object, { title, data: { text } }, { "If-Match": etag });
    } catch (problem) {
      if (problem.status !== 412) throw problem;
      etag = (await ask("GET", object)).etag;
      problem.message = "Not saved. Somebody else changed the document a moment ago. Save again to replace their text.";
      throw problem;
    }
    await showDocument();
    find("#document details").open = false;
    notice("Saved.");
  },

  async invite({ email, role, message }, form) {
    const { said } = await ask("POST", `/content/${contentType}/invitations/${contentKey}`, {
      email,
      role,
      ...(message && { message }),
    });
    showPeople(said);
    form.reset();
    notice(`${email} is on the way. The link is in their mailbox.`);
  },

  async withdraw(_, form) {
    await ask("DELETE", `/content/invitations/${form.dataset.id}`);
    showPeople((await ask("GET", `${object}/access`)).said);
    notice("Withdrawn. The link no longer opens anything.");
  },

  // The answer to an invitation: with a profile if there is no account yet, which then is made in the same step.
  async accept(profile) {
    const body = { token, contentType, contentKey, ...profile };
    if (profile.acceptTerms) body.acceptTerms = true;
    try {
      await ask("POST", `/content/${contentType}/invitations/${contentKey}`, body);
    } catch (problem) {
      if (problem.errors.length) throw problem;
      if (problem.code !== "sign-in-required") return showRefusal(problem);
      // The link was handed over, not mailed: only its owner's session proves who holds it.
      afterSignIn = () => actions.accept({});
      return showSignIn("Sign in to accept");
    }
    me = await whoAmI();
    if (me) return location.replace(`/${contentType}/${contentKey}`);
    const invitee = find("[data-invitee]").textContent;
    afterSignIn = () => location.replace(`/${contentType}/${contentKey}`);
    showSignIn("You are in. Sign in to open the document", invitee);
  },

  async askForNew() {
    await ask("POST", "/invitations/request-new", { token });
    showEnded("Look into your mailbox", "If the invitation still stands, a new link is on its way to the invited address.");
  },

  async switchAccount() {
    await ask("POST", "/auth/logout");
    me = null;
    showWho();
    await showOffer();
  },
};

document.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const button = find("button", form);
  if (button.ariaBusy === "true") return;
  clearErrors(form);
  find("#notice").hidden = true;
  button.ariaBusy = "true";
  try {
    await actions[form.dataset.do](Object.fromEntries(new FormData(form)), form);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    showErrors(form, problem);
  } finally {
    button.ariaBusy = "false";
  }
});

function clearErrors(form) {
  for (const error of form.querySelectorAll(".error")) error.remove();
  for (const field of form.elements) field.ariaInvalid = null;
}

// What is wrong with a field stands at the field, everything else above the button.
function showErrors(form, problem) {
  const rest = [];
  for (const { pointer, detail } of problem.errors) {
    const field = form.elements[pointer.slice(1)];
    if (!field) {
      rest.push(detail);
      continue;
    }
    field.ariaInvalid = "true";
    field.closest("label").append(element("span", detail, { className: "error" }));
  }
  const words = rest.join(" ") || (problem.errors.length ? "" : problem.message);
  if (words) find("button", form).before(element("p", words, { className: "error", role: "alert" }));
  (find("[aria-invalid=true]", form) ?? find("button", form)).focus();
}

// ---- starting -------------------------------------------------------------------------------------------------------

async function whoAmI() {
  try {
    return (await ask("GET", "/users/me")).said;
  } catch (problem) {
    if (problem.status === 401) return null;
    throw problem;
  }
}

try {
  me = await whoAmI();
  showWho();
  await (isAccept ? showOffer() : contentKey ? showDocument() : showList());
} catch (problem) {
  if (!(problem instanceof Problem)) throw problem;
  showEnded("That did not work", problem.message);
}
