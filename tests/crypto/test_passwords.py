"""Passwords: what is asked of new ones, and how they are kept."""

import asyncio

import pytest

from latchstring.crypto import passwords as room
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
def test_a_password_is_long_enough_and_not_the_first_guess(password: str, code: str | None) -> None:
    found = check_policy(
        password, AccountRules(), email="ada.lovelace@people.test", names=("Ada", "Lovelace"), pointer="/p"
    )
    assert [(problem.pointer, problem.code) for problem in found] == ([] if code is None else [("/p", code)])


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


async def test_who_comes_when_too_many_wait_is_told_to_come_back(
    cheap_passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "WAITING", 2)
    results = await asyncio.gather(*(cheap_passwords.hash("x") for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, StorageBusy) for result in results) == 3
    assert await cheap_passwords.hash("x")
