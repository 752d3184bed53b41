"""Validation of web URLs, and their origins."""

import pytest

from latchstring.formats.urls import find_origin, is_web_url


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://app.example.org/welcome?a=b#c", "https://app.example.org"),
        ("HTTPS://App.Example.ORG:443/", "https://app.example.org"),
        ("http://app.example.org:80", "http://app.example.org"),
        ("http://app.example.org:443", "http://app.example.org:443"),
        ("https://[2001:DB8::1]:8443/x", "https://[2001:db8::1]:8443"),
        ("https://app.example.org:", "https://app.example.org"),
    ],
)
def test_an_origin_is_in_lower_case_without_the_default_port(url: str, origin: str) -> None:
    assert find_origin(url) == origin


@pytest.mark.parametrize(
    "text",
    [
        "",
        "app.example.org",
        "//app.example.org",
        "ftp://app.example.org",
        "javascript:alert(1)",
        "https://",
        "https://:443",
        "https://app.example.org:0",
        "https://app.example.org:65536",
        "https://app.example.org:x",
        "https://[::1",
    ],
)
def test_other_text_has_no_origin(text: str) -> None:
    assert find_origin(text) is None
    assert not is_web_url(text)


def test_user_information_is_not_in_the_origin_and_makes_a_url_invalid() -> None:
    assert find_origin("https://app.example.org@evil.example/") == "https://evil.example"
    assert not is_web_url("https://ada@app.example.org")
