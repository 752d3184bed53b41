"""Passwords: the policy for new ones, and hashing."""

import asyncio

import pytest

from latchstring.crypto import passwords as passwords_module
from latchstring.crypto.passwords import Passwords, check_policy
from latchstring.domain.errors import StorageBusy
from latchstring.domain.settings import AccountRules


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("a" * 9, "too-short"),
        ("a" * 257, "too-long"),
        ("password123", "too-common"),
        ("PassWord123", "too-common"),
        ("ada.lovelace", "too-common"),
        ("Ada.Lovelace@people.test", "too-common"),
        ("Ada Lovelace", "too-common"),
        ("nul\0nulnulnul", "not-text"),
        ("x" * 10, None),
        ("correct horse 9 Battery", None),
        ("пароль из слов", None),
        ("🔑" * 10, None),
    ],
)
def test_a_password_is_checked_for_length_and_common_values(password: str, code: str | None) -> None:
    problems = check_policy(
        password, AccountRules(), email="ada.lovelace@people.test", names=("Ada", "Lovelace"), pointer="/p"
    )
    assert [(problem.pointer, problem.code) for problem in problems] == ([] if code is None else [("/p", code)])


async def test_hashes_are_argon2id_with_the_recommended_parameters() -> None:
    passwords = Passwords()
    hashed = await passwords.hash("correct horse")
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.verify("correct horse", hashed)
    assert not await passwords.verify("Correct horse", hashed)
    assert not await passwords.verify("correct horse", None)
    assert not await passwords.verify("correct horse", "not a hash")
    assert not passwords.needs_rehash(hashed)
    passwords.close()


async def test_hashing_is_refused_when_the_queue_is_full(
    cheap_passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords_module, "MAX_QUEUE_LENGTH", 2)
    results = await asyncio.gather(*(cheap_passwords.hash("x") for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, StorageBusy) for result in results) == 3
    assert await cheap_passwords.hash("x")
