"""Mails shown inside pages."""

from latchstring.http.headers import PAGE_POLICY
from latchstring.http.responses import Answer
from latchstring.pages.mail_frame import frame_answer, holding_frame


def _policy(answer: Answer) -> str:
    (policy,) = [value for name, value in answer.headers if name == b"content-security-policy"]
    return policy.decode()


def test_a_mail_in_its_frame_may_do_nothing() -> None:
    answer = frame_answer("<html><head><title>x</title></head><body></body></html>", locale="de")
    policy = _policy(answer)
    assert "sandbox" in policy
    assert "script-src" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert (b"x-frame-options", b"SAMEORIGIN") in answer.headers
    assert b'<head><base target="_blank">' in answer.body


def test_the_page_around_it_is_widened_by_own_frames_only() -> None:
    page = Answer(200, b"", [(b"content-security-policy", b"default-src 'none'; form-action 'self' https://a.example")])
    assert _policy(holding_frame(page)) == "default-src 'none'; form-action 'self' https://a.example; frame-src 'self'"


def test_a_page_that_leaves_its_policy_to_the_edge_gets_the_common_one_widened() -> None:
    assert _policy(holding_frame(Answer(200))) == f"{PAGE_POLICY}; frame-src 'self'"
