"""Show the HTML of a mail inside a page, isolated from the page.

A mail needs inline styles, which the policy of pages forbids, and an operator's template may contain anything. So the
mail is a separate document with its own URL in a sandboxed frame:

    # the URL of the mail
    return frame_answer(html)

    # the page around it: its policy additionally allows frames of the same origin, and nothing else
    return allow_frames(panel.show("mail_preview.html", ...))

    <iframe class="preview__frame" sandbox="" title="…" src="/admin/…"></iframe>

The frame's policy contains `sandbox` as well, so the document is equally restricted when opened in a tab: no script, no
form, no origin, no requests. Images that a template links to are therefore not shown in a preview.
"""

from latchstring.http.headers import PAGE_POLICY
from latchstring.http.responses import Answer

FRAME_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox"
)
_POLICY = b"content-security-policy"


def frame_answer(html: str, *, locale: str = "") -> Answer:
    """The mail's HTML as the document of a frame. Its links do nothing, because the sandbox blocks new windows."""
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (_POLICY, FRAME_POLICY.encode("ascii")),
        (b"x-frame-options", b"SAMEORIGIN"),
    ]
    if locale:
        headers.append((b"content-language", locale.encode("ascii")))
    return Answer(200, _point_links_outside(html).encode(), headers)


def allow_frames(answer: Answer) -> Answer:
    """Allow frames of the same origin on a page. The rest of its policy does not change."""
    policy = next((value for name, value in answer.headers if name == _POLICY), PAGE_POLICY.encode("ascii"))
    answer.headers = [pair for pair in answer.headers if pair[0] != _POLICY]
    answer.headers.append((_POLICY, policy + b"; frame-src 'self'"))
    return answer


def _point_links_outside(html: str) -> str:
    """Open links in new windows, which the sandbox blocks: inside the frame they would replace the mail."""
    head, head_tag, rest = html.partition("<head>")
    return f'{head}{head_tag}<base target="_blank">{rest}' if head_tag else html
