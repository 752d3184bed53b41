"""Passwords: the policy for new ones, hashing, and verification that does not reveal which accounts exist.

Argon2id with 19 MiB, two passes and a parallelism of one (OWASP Password Storage Cheat Sheet) takes about 20 ms and
19 MiB per password. Hashing therefore has a few threads of its own and a bounded queue.
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
PARALLELISM = 1
MAX_PASSWORD_LENGTH = 256  # characters; longer ones add no strength, but an attacker could make hashing expensive
MAX_QUEUE_LENGTH = 200  # about two seconds of work for two threads; more callers are rejected and may retry

# The most frequent entries of lists of leaked passwords that are long enough to pass the length rule.
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
    """Hashes and verifies passwords in its own thread pool, so that they do not block the event loop."""

    def __init__(self, workers: int = 2, *, memory_kib: int = MEMORY_KIB, passes: int = PASSES) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=PARALLELISM)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="passwords")
        self._waiting = 0
        # Verified if the account is unknown or has no password, so that the response time does not reveal that.
        self._dummy_hash = self._hasher.hash(secrets.token_urlsafe())

    async def hash(self, password: str) -> str:
        """Hash a password to a PHC string, with a random salt. Raises StorageBusy if the queue is full."""
        return await self._run(partial(self._hasher.hash, password))

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Whether the password matches the hash. None never matches, but takes the same time.

        Raises StorageBusy if the queue is full.
        """
        # Cut to one character more than allowed: bounds the work, and a longer password still does not match.
        matches = await self._run(
            partial(self._verify_hash, password[: MAX_PASSWORD_LENGTH + 1], hashed or self._dummy_hash)
        )
        return matches and hashed is not None

    def needs_rehash(self, hashed: str) -> bool:
        """Whether the hash was made with other parameters than the current ones."""
        return self._hasher.check_needs_rehash(hashed)

    def close(self) -> None:
        """Wait for running hashes and end the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _verify_hash(self, password: str, hashed: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (Argon2Error, InvalidHashError):
            return False

    async def _run(self, work: "partial[T]") -> T:
        if self._waiting >= MAX_QUEUE_LENGTH:
            raise StorageBusy("Too many passwords wait to be checked.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


def check_policy(
    password: str, rules: AccountRules, *, email: str, names: Iterable[str] = (), pointer: str = "/password"
) -> list[FieldProblem]:
    """Return the problems of a new password, at most one.

    Checks the length and rejects common or expected passwords. There are no composition rules, since they lead to
    predictable passwords (NIST SP 800-63B section 3.1.1.2).
    """
    problem = _find_problem(password, rules.password_minimum, email, names)
    return [] if problem is None else [FieldProblem(pointer, *problem)]


def _find_problem(password: str, minimum: int, email: str, names: Iterable[str]) -> tuple[str, str] | None:
    if len(password) < minimum:
        return "too-short", f"Use at least {minimum} characters. A few unrelated words are easy to keep in mind."
    if len(password) > MAX_PASSWORD_LENGTH:
        return "too-long", f"Use at most {MAX_PASSWORD_LENGTH} characters."
    if not _is_typeable(password):
        return "not-text", "Use characters that can be typed."
    if _is_expected(password.casefold(), email.casefold(), [name.casefold() for name in names]):
        return "too-common", "This is among the first passwords anybody would try. Take another."
    return None


def _is_typeable(password: str) -> bool:
    # No keyboard produces NUL or surrogates, and lone surrogates cannot be encoded as UTF-8 for hashing.
    return "\0" not in password and not any(0xD800 <= ord(character) <= 0xDFFF for character in password)  # noqa: PLR2004


def _is_expected(password: str, email: str, names: list[str]) -> bool:
    """Whether the password is a common one, or the user's own address or name: the first guesses of an attacker."""
    own = {email, email.partition("@")[0], "".join(names), " ".join(names)}
    return password in _COMMON or password in own
