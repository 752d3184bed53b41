"""Passwords: what is asked of a new one, how it is kept, and checking one without telling whom we know.

Argon2id with 19 MiB, two passes, one lane (OWASP Password Storage Cheat Sheet): about 20 ms and 19 MiB a password,
which is why hashing has threads of its own, few of them, and a bound on who may wait.
"""

import asyncio
import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from latchstring.domain.errors import FieldProblem, StorageBusy
from latchstring.domain.settings import AccountRules

T = TypeVar("T")

MEMORY_KIB = 19 * 1024
PASSES = 2
LANES = 1
LONGEST = 256  # characters; more adds no strength, and every byte is hashed
WAITING = 200  # about two seconds of two threads: who comes later is better told to come back

# The beginnings of every list of leaked passwords that are long enough to pass the length rule.
_COMMON = frozenset(
    {
        "1234567890", "12345678910", "0123456789", "0987654321", "123456789a", "1q2w3e4r5t", "1q2w3e4r5t6y",
        "1qaz2wsx3edc", "qwertyuiop", "qwerty12345", "qwertyuiop123", "qwerty123456", "asdfghjkl1", "asdfghjkl;",
        "zxcvbnm123", "abcdefghij", "abc1234567", "abcd123456", "password12", "password123", "password1234",
        "password12345", "passwordpassword", "passw0rd123", "p@ssw0rd123", "p@ssword123", "iloveyou12", "iloveyou123",
        "letmein123", "letmein1234", "welcome123", "welcome1234", "administrator", "admin12345", "admin123456",
        "changeme123", "changeme1234", "1234512345", "123123123123", "1112223333", "football123", "princess123",
        "sunshine123", "superman123", "michael123", "basketball", "passwort123", "passwort1234", "hallo12345",
    }
)  # fmt: skip


class Passwords:
    """Hashes and checks passwords in a few threads of its own."""

    def __init__(self, workers: int = 2, *, memory_kib: int = MEMORY_KIB, passes: int = PASSES) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=LANES)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="passwords")
        self._waiting = 0
        # checked in place of an account that is unknown or has no password, so that the answer takes as long
        self._nobody = self._hasher.hash(secrets.token_urlsafe())

    async def hash(self, password: str) -> str:
        """The PHC string to keep. Raises StorageBusy when too many wait."""
        return await self._run(partial(self._hasher.hash, password))

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Whether this is the password. The same work for None, which never matches."""
        matches = await self._run(partial(self._matches, password[: LONGEST + 1], hashed or self._nobody))
        return matches and hashed is not None

    def needs_rehash(self, hashed: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(hashed)

    def close(self) -> None:
        """Let running work finish and end the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _matches(self, password: str, hashed: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (Argon2Error, InvalidHashError):
            return False

    async def _run(self, work: "partial[T]") -> T:
        if self._waiting >= WAITING:
            raise StorageBusy("Too many passwords wait to be checked.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


def check_policy(
    password: str, rules: AccountRules, *, email: str, names: Iterable[str] = (), pointer: str = "/password"
) -> list[FieldProblem]:
    """What is wrong with a new password; nothing is asked beyond length and not being the first guess.

    NIST SP 800-63B section 3.1.1.2: a length, no composition rules, no common or expected values.
    """
    problem = _find_fault(password, rules.password_minimum, email, names)
    return [] if problem is None else [FieldProblem(pointer, *problem)]


def _find_fault(password: str, minimum: int, email: str, names: Iterable[str]) -> tuple[str, str] | None:
    if len(password) < minimum:
        return "too-short", f"Use at least {minimum} characters. A few unrelated words are easy to keep in mind."
    if len(password) > LONGEST:
        return "too-long", f"Use at most {LONGEST} characters."
    if not _is_writable(password):
        return "not-text", "Use characters that can be typed."
    if _is_expected(password.casefold(), email.casefold(), [name.casefold() for name in names]):
        return "too-common", "This is among the first passwords anybody would try. Take another."
    return None


def _is_writable(password: str) -> bool:
    return "\0" not in password and not any(0xD800 <= ord(character) <= 0xDFFF for character in password)  # noqa: PLR2004


def _is_expected(password: str, email: str, names: list[str]) -> bool:
    """A leaked favourite, or the person's own address or name."""
    own = {email, email.partition("@")[0], "".join(names), " ".join(names)}
    return password in _COMMON or password in own
