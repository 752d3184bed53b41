"""Showing the HTML of a mail inside a page of ours, without lending it anything of the page.

A mail needs inline styles, which no page of ours allows, and an overridden template may hold whatever its author
liked. So it is a document of its own, under an address of its own, in a frame that may do nothing:

    # the address of the mail
    return frame_answer(html)

    # the page around it: its policy is widened by frames of our own origin, and by nothing else
    return holding_frame(panel.show("mail_preview.html", ...))

    <iframe class="preview__frame" sandbox="" title="…" src="/admin/…"></iframe>

The frame's policy says `sandbox`, too, so opened by itself in a tab it is as powerless: no script, no form, no origin,
nothing loaded from anywhere. Pictures a template links to are therefore not shown in a preview.
"""

from latchstring.http.headers import PAGE_POLICY
from latchstring.http.responses import Answer

FRAME_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox"
)
_POLICY = b"content-security-policy"


def frame_answer(html: str, *, locale: str = "") -> Answer:
    """The mail's HTML as the document of a frame. Its links lead nowhere: the sandbox refuses new windows."""
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (_POLICY, FRAME_POLICY.encode("ascii")),
        (b"x-frame-options", b"SAMEORIGIN"),
    ]
    if locale:
        headers.append((b"content-language", locale.encode("ascii")))
    return Answer(200, _point_links_outside(html).encode(), headers)


def holding_frame(answer: Answer) -> Answer:
    """The page, allowed to hold frames of our own origin. Nothing else of its policy changes."""
    policy = next((value for name, value in answer.headers if name == _POLICY), PAGE_POLICY.encode("ascii"))
    answer.headers = [pair for pair in answer.headers if pair[0] != _POLICY]
    answer.headers.append((_POLICY, policy + b"; frame-src 'self'"))
    return answer


def _point_links_outside(html: str) -> str:
    """Aim links at new windows, which the sandbox refuses: followed inside the frame they would replace the mail."""
    head, found, rest = html.partition("<head>")
    return f'{head}{found}<base target="_blank">{rest}' if found else html
