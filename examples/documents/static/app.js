// Documents. Every path has the same page; this script shows the section for the path:
//   /                                              the documents that the user may read
//   /{contentType}/{contentKey}                    a document
//   /{contentType}/{contentKey}/accept?token=…     the link of an invitation

const address = new URL(location.href);
const [, contentType, contentKey, isAccept] = address.pathname.match(/^\/([^/]+)\/([^/]+?)(\/accept)?$/) ?? [];
const token = isAccept && address.searchParams.get("token");
// The token is a credential. From here on it is only in this variable: not in the address bar, not in the history, and not
// in requests of a reload or another tab.
if (isAccept) history.replaceState(null, "", address.pathname);

const object = `/content/${contentType}/${contentKey}`;
const find = (selector, within = document) => within.querySelector(selector);
const VERBS = { VIEWER: "read", EDITOR: "edit", MAINTAINER: "edit, and invite others to," };
const ACCESS_LABELS = { VIEWER: "may read", EDITOR: "may edit", MAINTAINER: "may edit and invite" };
let me = null; // the signed-in user
let etag = null; // the version of the document that is shown
let afterSignIn = () => location.reload();

// ---- requests -------------------------------------------------------------------------------------------------------

class Problem extends Error {
  constructor(problem) {
    super(problem.detail || problem.title);
    Object.assign(this, { errors: [] }, problem);
  }
}

// Send a request to Latchstring through the backend, which adds the token of the session. Throws a Problem for errors.
async function request(method, path, body, headers = {}) {
  const options = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetch(`/api${path}`, {
    method,
    headers: { ...headers, ...(options.body && { "Content-Type": "application/json" }) },
    ...options,
  }).catch(() => {
    throw new Problem({ code: "offline", detail: "The server cannot be reached. Try again in a moment." });
  });
  const data = await response.json().catch(() => null);
  if (!response.ok) throw new Problem(data ?? { code: "unavailable", detail: `The server answered ${response.status}.` });
  return { data, status: response.status, etag: response.headers.get("ETag") };
}

// ---- sections -------------------------------------------------------------------------------------------------------

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

function showNotice(text) {
  find("#notice").textContent = text;
  find("#notice").hidden = false;
}

function element(name, text = "", properties = {}) {
  return Object.assign(document.createElement(name), { textContent: text }, properties);
}

// A row of a list: a line, a smaller line below it, and an optional element at the end.
function row(line, detail, end) {
  const item = element("li");
  const text = element("span");
  text.append(line, element("small", detail));
  item.append(text, ...(end ? [end] : []));
  return item;
}

function showUser() {
  find("#me").hidden = !me;
  find("[data-me]").textContent = me?.email ?? "";
}

function showSignIn(title, email = "") {
  const form = find("form", show("sign-in", title));
  form.elements.email.value = email;
}

async function showList() {
  if (!me) return showSignIn("Sign in to see your documents");
  const { data } = await request("GET", "/content/documents?limit=100");
  const section = show("list");
  find("ul", section).replaceChildren(
    ...data.items.map((item) => {
      const link = element("a", item.title, { href: `/${item.contentType}/${item.key}` });
      return row(link, describeAccess(item));
    }),
  );
  find(".empty", section).hidden = data.items.length > 0;
  find("form", section).hidden = !me.permissions.some((permission) => ["content:create", "*"].includes(permission));
}

function describeAccess({ access }) {
  if (me && access.ownerId === me.id) return "Yours";
  if (access.canDelete) return "You may edit it and invite others";
  return access.canEdit ? "You may edit it" : "You may read it";
}

async function showDocument() {
  let response;
  try {
    response = await request("GET", object);
  } catch (problem) {
    if (problem.code === "unauthenticated" || problem.code === "credential-invalid") {
      return showSignIn("Sign in to open this document");
    }
    if (problem.status !== 404) throw problem;
    return showEnded("Document not found", "It does not exist, or it is not shared with you.");
  }
  const content = response.data;
  etag = response.etag;
  const section = show("document", content.title);
  find(".facts", section).textContent = `${describeAccess(content)}. Last changed ${formatTime(content.updatedAt)}.`;
  find(".text", section).textContent = content.data?.text ?? "";
  find("details", section).hidden = !content.access.canEdit;
  const form = find("[data-do=save]").elements;
  form.title.value = content.title;
  form.text.value = content.data?.text ?? "";
  find("#people").hidden = !content.access.canDelete;
  if (content.access.canDelete) showPeople((await request("GET", `${object}/access`)).data);
}

const formatTime = (instant) => new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" }).format(new Date(instant));

function showPeople(access) {
  const isMine = me && access.ownerId === me.id;
  const users = access.users.map(({ user, role }) => row(user.name || user.email, `${user.email} ${ACCESS_LABELS[role]}`));
  find("[data-users]").replaceChildren(row(isMine ? "You" : "The owner", isMine ? "own it" : "has full access"), ...users);
  find("[data-invitations]").replaceChildren(...access.invitations.map(showInvitation));
  find("[data-nobody]").hidden = access.invitations.length > 0;
}

function showInvitation({ id, email, role, expiresAt, delivery }) {
  const form = element("form", "", { method: "post" });
  Object.assign(form.dataset, { do: "withdraw", id });
  form.append(element("button", "Withdraw", { ariaLabel: `Withdraw the invitation of ${email}` }));
  const details = [`${ACCESS_LABELS[role]} it`, describeDelivery(delivery), `the link works until ${formatTime(expiresAt)}`];
  return row(email, details.filter(Boolean).join(" · "), form);
}

function describeDelivery(delivery) {
  const labels = {
    QUEUED: "the mail is being sent",
    SENT: "the mail is sent",
    DEFERRED: "the mail will be retried",
    BOUNCED: `the address was rejected: ${delivery?.lastReply}`,
    FAILED: `the mail was rejected: ${delivery?.lastReply}`,
    SUPPRESSED: "no mail was sent",
  };
  return labels[delivery?.state];
}

// ---- the link of an invitation --------------------------------------------------------------------------------------

// Opening the link does not accept, as mail scanners open links.
async function showInvitationPage() {
  if (!token) return showEnded("The link is missing", "Open the link in your mail again.");
  let invitation;
  try {
    invitation = (await request("POST", "/invitations/lookup", { token })).data;
  } catch (problem) {
    return showRefusal(problem);
  }
  const grant = invitation.content.find((item) => item.contentType === contentType && item.key === contentKey);
  if (!grant) return showRefusal({ code: "invitation-mismatch" });
  if (me && me.email.toLowerCase() !== invitation.inviteEmail.toLowerCase()) return showRefusal({ code: "wrong-account" });
  const inviter = invitation.invitedBy?.name || "Somebody";
  const section = show("invitation", `${inviter} invites you to ${VERBS[grant.role]} “${grant.title}”`);
  find("blockquote", section).textContent = invitation.message ?? "";
  find("blockquote", section).hidden = !invitation.message;
  find("[data-invitee]").textContent = invitation.inviteEmail;
  const profile = find("[data-profile]");
  profile.hidden = profile.disabled = invitation.accountExists; // disabled fields are neither validated nor sent
  find("button", section).textContent = invitation.accountExists ? "Accept and open" : "Create account and accept";
  const fields = find("form", section).elements;
  fields.firstName.value = invitation.firstName ?? "";
  fields.lastName.value = invitation.lastName ?? "";
  find("[data-terms]").hidden = fields.acceptTerms.disabled = !invitation.termsUrl;
  if (invitation.termsUrl) find("[data-terms] a").href = invitation.termsUrl;
}

const ENDED = {
  "invitation-accepted": ["Already accepted", "Sign in, and open the document from your list."],
  "invitation-declined": ["You declined this invitation", "Ask for a new one if you changed your mind."],
  "invitation-revoked": ["This invitation was withdrawn", "Ask the person who invited you."],
  "invitation-superseded": ["There is a newer link", "Use the link of the latest mail, or request a new one.", "requestNewLink"],
  "invitation-expired": ["This link has expired", "The invitation is still open. Request a new link.", "requestNewLink"],
  "invitation-token-invalid": ["This link is incomplete", "Copy the whole link from your mail."],
  "invitation-mismatch": ["This link is for another document", "Open the link in your mail again."],
  "inviter-not-allowed": ["This invitation cannot be accepted", "The person who sent it may no longer invite to this document."],
  "account-blocked": ["This account is blocked", "Ask the person who invited you."],
};

function showRefusal(problem) {
  if (problem.code === "wrong-account") {
    const text = `You are signed in as ${me?.email}. The invitation is for another account.`;
    return showEnded("This invitation is for another account", text, "switchAccount");
  }
  if (!(problem.code in ENDED)) throw problem;
  return showEnded(...ENDED[problem.code]);
}

function showEnded(title, text, action) {
  const section = show("ended", title);
  find(".lead", section).textContent = text;
  for (const form of section.querySelectorAll("form")) form.hidden = form.dataset.do !== action;
}

// ---- actions: `data-do` of a form names one -------------------------------------------------------------------------

const actions = {
  async signIn({ email, password }) {
    await request("POST", "/auth/login", { email, password });
    await afterSignIn();
  },

  async signOut() {
    await request("POST", "/auth/logout");
    location.assign("/");
  },

  async create({ title }) {
    const { data } = await request("POST", "/content/documents", { title, data: { text: "" } });
    location.assign(`/${data.contentType}/${data.key}`);
  },

  // If-Match: a change that somebody else saved meanwhile is not overwritten.
  async save({ title, text }) {
    try {
      await request("PATCH", object, { title, data: { text } }, { "If-Match": etag });
    } catch (problem) {
      if (problem.status !== 412) throw problem;
      etag = (await request("GET", object)).etag;
      problem.message = "Not saved. Somebody else changed the document a moment ago. Save again to replace their text.";
      throw problem;
    }
    await showDocument();
    find("#document details").open = false;
    showNotice("Saved.");
  },

  async invite({ email, role, message }, form) {
    const { data } = await request("POST", `/content/${contentType}/invitations/${contentKey}`, {
      email,
      role,
      ...(message && { message }),
    });
    showPeople(data);
    form.reset();
    showNotice(`Invitation sent to ${email}.`);
  },

  async withdraw(_, form) {
    await request("DELETE", `/content/invitations/${form.dataset.id}`);
    showPeople((await request("GET", `${object}/access`)).data);
    showNotice("Withdrawn. The link no longer works.");
  },

  // Accept the invitation. Without an account, the same request creates one from the profile.
  async accept(profile) {
    const body = { token, contentType, contentKey, ...profile };
    if (profile.acceptTerms) body.acceptTerms = true;
    try {
      await request("POST", `/content/${contentType}/invitations/${contentKey}`, body);
    } catch (problem) {
      if (problem.errors.length) throw problem;
      if (problem.code !== "sign-in-required") return showRefusal(problem);
      // The link was not mailed, so it does not verify the address: the invitee has to sign in.
      afterSignIn = () => actions.accept({});
      return showSignIn("Sign in to accept");
    }
    me = await findUser();
    if (me) return location.replace(`/${contentType}/${contentKey}`);
    const invitee = find("[data-invitee]").textContent;
    afterSignIn = () => location.replace(`/${contentType}/${contentKey}`);
    showSignIn("Accepted. Sign in to open the document", invitee);
  },

  async requestNewLink() {
    await request("POST", "/invitations/request-new", { token });
    showEnded("Check your mail", "If the invitation is still open, a new link was sent to the invited address.");
  },

  async switchAccount() {
    await request("POST", "/auth/logout");
    me = null;
    showUser();
    await showInvitationPage();
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

// Show problems of a field at the field, and other problems above the button.
function showErrors(form, problem) {
  const otherDetails = [];
  for (const { pointer, detail } of problem.errors) {
    const field = form.elements[pointer.slice(1)];
    if (!field) {
      otherDetails.push(detail);
      continue;
    }
    field.ariaInvalid = "true";
    field.closest("label").append(element("span", detail, { className: "error" }));
  }
  const text = otherDetails.join(" ") || (problem.errors.length ? "" : problem.message);
  if (text) find("button", form).before(element("p", text, { className: "error", role: "alert" }));
  (find("[aria-invalid=true]", form) ?? find("button", form)).focus();
}

// ---- start ----------------------------------------------------------------------------------------------------------

async function findUser() {
  try {
    return (await request("GET", "/users/me")).data;
  } catch (problem) {
    if (problem.status === 401) return null;
    throw problem;
  }
}

try {
  me = await findUser();
  showUser();
  await (isAccept ? showInvitationPage() : contentKey ? showDocument() : showList());
} catch (problem) {
  if (!(problem instanceof Problem)) throw problem;
  showEnded("Something went wrong", problem.message);
}
