"""Fields are parsed by their types, and all problems are collected with a pointer to each field."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import msgspec
import pytest
from msgspec import UNSET, UnsetType
from tests.support.sample_app import AS_KEY, AS_USER, USER_ID, AllFields, Change

from latchstring.domain.errors import InvalidFields, Unreadable
from latchstring.formats import field_types as types
from latchstring.formats.field_types import Line, Message, ValueRefused
from latchstring.formats.fields import Body, collect, refuse_unknown, sent_fields

NESTED = {"name": "x", "role": "VIEWER"}


def collect_problems(raw: dict[str, Any]) -> dict[str, str]:
    return {problem.pointer: problem.code for problem in collect(raw, AllFields).problems}


async def test_all_problems_are_in_one_response(client: httpx2.AsyncClient) -> None:
    body = {"name": "", "email": "nope", "groups": ["ok", "not ok"], "items": [NESTED, {"name": 5, "role": "OWNER"}]}
    response = await client.post("/api/things", json=body, headers=AS_KEY)
    assert (response.status_code, response.json()["code"]) == (422, "invalid-fields")
    assert {error["pointer"]: error["code"] for error in response.json()["errors"]} == {
        "/name": "blank",
        "/email": "invalid-email",
        "/groups/1": "invalid-key",
        "/items/1/name": "invalid-type",
        "/items/1/role": "not-one-of",
    }
    assert all(error["detail"] for error in response.json()["errors"])


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({}, {"/name": "required"}),
        ({"name": None}, {"/name": "invalid-type"}),
        ({"name": "x", "groups": "team"}, {"/groups": "invalid-type"}),
        ({"name": "x", "groups": [None]}, {"/groups/0": "invalid-type"}),
        ({"name": "x", "groups": ["a"] * 1001}, {"/groups": "too-many"}),
        ({"name": "x", "items": {}}, {"/items": "invalid-type"}),
        ({"name": "x", "items": [5]}, {"/items/0": "invalid-type"}),
        ({"name": "x", "items": [{}]}, {"/items/0/name": "required", "/items/0/role": "required"}),
        ({"name": "x", "acceptTerms": "yes"}, {"/acceptTerms": "invalid-type"}),
        ({"name": "x", "expiresIn": "7 days", "locale": "xx_", "redirectUrl": "//x"},
         {"/expiresIn": "invalid-duration", "/locale": "invalid-locale", "/redirectUrl": "invalid-url"}),
    ],
)  # fmt: skip
def test_each_problem_has_a_pointer_to_its_field(raw: dict[str, Any], expected: dict[str, str]) -> None:
    assert collect_problems(raw) == expected


def test_a_valid_body_is_parsed_into_values() -> None:
    body = collect(
        {
            "name": " Ada ",
            "email": "Ada@People.Test",
            "message": "a\r\nb\rc",
            "expiresIn": "P1DT2H",
            "startsAt": "2026-03-01T10:30:00.5+01:00",
            "locale": "PT-br",
            "items": [NESTED],
        },
        AllFields,
    ).finish()
    assert (body.name, body.message, body.locale) == ("Ada", "a\nb\nc", "pt-BR")
    assert body.email is not None
    assert body.email.email == "Ada@People.Test"
    assert body.expires_in == timedelta(days=1, hours=2)
    assert body.starts_at == datetime(2026, 3, 1, 9, 30, 0, 500_000, tzinfo=UTC)
    assert body.items[0].role == "VIEWER"


def test_a_missing_field_differs_from_null() -> None:
    assert sent_fields(collect({}, Change).finish()) == {}
    assert sent_fields(collect({"message": None}, Change).finish()) == {"message": None}
    assert {p.pointer for p in collect({"name": None}, Change).problems} == {"/name"}


async def test_a_patch_changes_only_the_fields_in_the_body(client: httpx2.AsyncClient) -> None:
    response = await client.patch(f"/api/things/{USER_ID}", json={"message": None}, headers=AS_USER)
    assert response.json() == {"id": str(USER_ID), "message": None}


def test_a_pointer_is_escaped_by_rfc_6901() -> None:
    class Shared(Body):
        users: dict[str, Line]

    assert [p.pointer for p in collect({"users": {"a/b~c": 5}}, Shared).problems] == ["/users/a~1b~0c"]


def test_unknown_fields_are_found_in_maps_and_arrays() -> None:
    class Inner(Body):
        name: Line

    class Outer(Body):
        mapping: dict[str, Inner] = msgspec.field(default_factory=dict)
        items: tuple[Inner, ...] = ()
        single: Inner | UnsetType = UNSET

    for raw in ({"mapping": {"k": {"x": 1}}}, {"items": [{"x": 1}]}, {"single": {"x": 1}}):
        with pytest.raises(Unreadable, match="/x") as refused:
            refuse_unknown(raw, Outer)
        assert refused.value.code == "unknown-field"


def test_invalid_fields_have_no_value_and_finish_raises() -> None:
    parsed = collect({"name": "x", "groups": 5}, AllFields)
    assert parsed.get("name") == "x"
    assert parsed.get("groups") is None
    with pytest.raises(InvalidFields):
        parsed.finish()


def test_a_field_with_two_types_raises_type_error() -> None:
    class Odd(Body):
        value: Line | int

    with pytest.raises(TypeError):
        collect({}, Odd)


LINE_REFUSED = [
    "",
    "   ",
    "a\x00b",
    "a\tb",
    "a\nb",
    "a\x7fb",
    "a\x85b",
    "a\u2028b",
    "a\u202eb",
    "a\u2066b",
    "\u200f",
    "\u200b",
    "a" * 101,
]


@pytest.mark.parametrize("text", LINE_REFUSED)
def test_a_line_without_visible_text_or_with_controls_is_refused(text: str) -> None:
    with pytest.raises(ValueRefused):
        types.read_line(text)


@pytest.mark.parametrize("text", ["Ada", "李", "Seán O’Neill", "x" * 100, "👩\u200d💻 Ada", "نا\u200cم"])
def test_names_in_any_script_are_lines(text: str) -> None:
    assert types.read_line(text) == text


@pytest.mark.parametrize("text", ["a\x00", "a\tb", "a\x1bb", "a\u202eb", "a" * 1001])
def test_a_message_with_other_controls_or_too_long_is_refused(text: str) -> None:
    with pytest.raises(ValueRefused):
        types.read_message(text)


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\x85", "\u2028", "\u2029"])
def test_all_line_breaks_of_a_message_become_line_feeds(line_break: str) -> None:
    assert types.read_message(f"a{line_break}b") == "a\nb"
    assert len(types.read_message("\r\n" * 1000)) == 1000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("P7D", timedelta(days=7)),
        ("P2W", timedelta(weeks=2)),
        ("PT12H", timedelta(hours=12)),
        ("PT0S", timedelta(0)),
        ("P1DT1H1M1S", timedelta(days=1, hours=1, minutes=1, seconds=1)),
    ],
)
def test_durations_of_fixed_length_are_read(text: str, expected: timedelta) -> None:
    assert types.read_duration(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "P",
        "PT",
        "P1Y",
        "P1M",
        "P1DT",
        "7D",
        "P-1D",
        "-P1D",
        "P1W1D",
        "PT1.5H",
        "p7d",
        "P7D ",
        "P٧D",
        "P9999999D",
        7,
    ],
)
def test_other_durations_are_refused(text: object) -> None:
    with pytest.raises(ValueRefused):
        types.read_duration(text)


@pytest.mark.parametrize(
    "text",
    ["2026-03-01", "2026-03-01T10:00:00", "2026-13-01T10:00:00Z", "2026-03-01 10:00:00Z", "2026-W01-1T00:00:00Z",
     "2026-03-01T24:00:00Z", "2026-03-01T10:00:60Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", 5],
)  # fmt: skip
def test_other_instants_are_refused(text: object) -> None:
    with pytest.raises(ValueRefused):
        types.read_instant(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("en", "en"),
        ("DE-at", "de-AT"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("sl-Rozaj-1994", "sl-rozaj-1994"),
    ],
)
def test_language_tags_are_normalized(text: str, expected: str) -> None:
    assert types.read_locale(text) == expected


@pytest.mark.parametrize("text", ["", "e", "de_DE", "de-", "-de", "english language", "x" * 36, "de\n", "../de"])
def test_malformed_language_tags_are_refused(text: str) -> None:
    with pytest.raises(ValueRefused):
        types.read_locale(text)


@pytest.mark.parametrize("text", ["https://a.example", "http://127.0.0.1:8080/x?y=1#z", "https://[::1]/x"])
def test_absolute_urls_are_read(text: str) -> None:
    assert types.read_url(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "/x", "//a.example", "javascript:alert(1)", "ftp://a.example", "https://", "https://user@a.example", "https://a.example\\@b",
     "https://a.example/ x", "https://a\t.example", "https://a.example:99999", "https://a.example:x", "https://[::1", "https://ä.example",
     "https:a.example", "https://a.example/\n"],
)  # fmt: skip
def test_other_urls_are_refused(text: str) -> None:
    with pytest.raises(ValueRefused):
        types.read_url(text)


@pytest.mark.parametrize("value", [5, [], {"a": "x" * 16_384}, {"a": "\x00"}, {"\x00": 1}, {"a": [{"b": "x\x00"}]}])
def test_metadata_is_a_small_object_without_nul(value: object) -> None:
    with pytest.raises(ValueRefused):
        types.read_metadata(value)


@pytest.mark.parametrize("value", [{}, {"a": None, "b": [1.5, True, {"c": "\\u0000"}]}, {"n": 2**63}])
def test_valid_metadata_is_not_changed(value: dict[str, Any]) -> None:
    assert types.read_metadata(value) == value


@pytest.mark.parametrize(
    "text", ["", "x", "{01890a5d-ac96-774b-bcce-b302099a8057}", "01890a5dac96774bbcceb302099a8057", None]
)
def test_ids_in_another_spelling_are_refused(text: object) -> None:
    with pytest.raises(ValueRefused):
        types.read_uuid(text)


def test_null_is_allowed_only_for_nullable_fields() -> None:
    class Both(Body):
        a: Message | None = None
        b: Message = ""

    assert [p.pointer for p in collect({"a": None, "b": None}, Both).problems] == ["/b"]
