"""Mails in frames of pages."""

from latchstring.http.headers import PAGE_POLICY
from latchstring.http.responses import Answer
from latchstring.pages.mail_frame import allow_frames, frame_answer


def _policy(answer: Answer) -> str:
    (policy,) = [value for name, value in answer.headers if name == b"content-security-policy"]
    return policy.decode()


def test_a_framed_mail_is_sandboxed() -> None:
    answer = frame_answer("<html><head><title>x</title></head><body></body></html>", locale="de")
    policy = _policy(answer)
    assert "sandbox" in policy
    assert "script-src" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert (b"x-frame-options", b"SAMEORIGIN") in answer.headers
    assert b'<head><base target="_blank">' in answer.body


def test_the_page_allows_only_frames_of_its_origin() -> None:
    page = Answer(200, b"", [(b"content-security-policy", b"default-src 'none'; form-action 'self' https://a.example")])
    assert _policy(allow_frames(page)) == "default-src 'none'; form-action 'self' https://a.example; frame-src 'self'"


def test_a_page_without_a_policy_gets_the_default_one_with_frames() -> None:
    assert _policy(allow_frames(Answer(200))) == f"{PAGE_POLICY}; frame-src 'self'"
