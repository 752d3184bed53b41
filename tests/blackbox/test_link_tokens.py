"""Links: not forged, not bent, not stored."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from tests.support.database_dump import dump
from tests.support.installation import PASSWORD, PROFILE, Installation, refused
from tests.support.installations import StartInstallation


def encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def bent(token: str) -> dict[str, str]:
    """Tokens that nobody but a forger makes."""
    header, payload, signature = token.split(".")
    claims = decoded(payload)
    changed = {name: value + 1 if isinstance(value, int) else value[::-1] for name, value in claims.items()}
    found = {
        f"{name} changed": f"{header}.{encoded(claims | {name: value})}.{signature}" for name, value in changed.items()
    }
    signed_with_nothing = hmac.digest(b"", f"{header}.{payload}".encode(), hashlib.sha256)
    last = signature[-1]
    neighbour = next(letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" if letter != last)
    return found | {
        "alg none": f"{encoded({'alg': 'none'})}.{payload}.",
        "alg none with signature": f"{encoded({'alg': 'none'})}.{payload}.{signature}",
        "alg HS512": f"{encoded({'alg': 'HS512'})}.{payload}.{signature}",
        "header with key": f"{encoded({'alg': 'HS256', 'jwk': {'kty': 'oct', 'k': 'AA'}})}.{payload}.{signature}",
        "no signature": f"{header}.{payload}.",
        "two parts": f"{header}.{payload}",
        "four parts": f"{token}.{signature}",
        "empty key": f"{header}.{payload}.{encoded(signed_with_nothing)}",
        "signature padded": f"{token}=",
        "signature longer": f"{token}A",
        "signature shorter": token[:-1],
        "last letter": token[:-1] + neighbour,
        "spare bits": token[:-1] + chr(ord(last) + 1),
        "space": f" {token}",
        "newline": f"{token}\n",
        "upper case": token.upper(),
        "payload not JSON": f"{header}.{encoded(b'hello')}.{signature}",
        "payload a list": f"{header}.{encoded([1])}.{signature}",
        "not ASCII": f"{token}ü",
        "control characters": f"{token}\x00\n",
        "very long": token * 30,
        "very deep": f"{header}.{encoded(b'[' * 3000)}.{signature}",
        "nothing": "ey",
    }


def test_forged_links_are_refused_alike(installation: Installation) -> None:
    made, token = installation.invited()
    answers = list[Any]()
    for name, forged in bent(token).items():
        for path, body in (("lookup", {}), ("accept", PROFILE), ("decline", {})):
            answer = installation.post(f"/invitations/{path}", {"token": forged, **body})
            assert answer.status == 401, (name, answer)
            answers.append(refused(answer, 401, "invitation-token-invalid") | {"instance": 0})
    assert all(answer == answers[0] for answer in answers)
    assert installation.invitation(made["id"])["state"] == "PENDING"
    assert installation.accept(token, **PROFILE).status == 201


def test_a_link_of_another_installation_is_refused(
    installation: Installation, start_installation: StartInstallation
) -> None:
    other = start_installation()
    _, token = other.invited()
    refused(installation.post("/invitations/lookup", {"token": token}), 401, "invitation-token-invalid")
    _, mine = installation.invited()
    refused(other.accept(mine, **PROFILE), 401, "invitation-token-invalid")


def test_two_installations_with_the_same_key_do_not_share_links(
    installation: Installation, start_installation: StartInstallation
) -> None:
    other = start_installation()
    key = next(installation.directory.rglob("master.key"))
    (other.directory / "var" / "copied.key").write_text(key.read_text())
    (other.directory / "var" / "copied.key").chmod(0o600)
    third = start_installation(extra=f'\n[secrets]\nmaster-key-file = "{other.directory}/var/copied.key"\n')
    _, token = installation.invited()
    refused(third.post("/invitations/lookup", {"token": token}), 401, "invitation-token-invalid")


def test_links_are_the_same_each_time_they_are_made(installation: Installation) -> None:
    made, token = installation.invited()
    assert installation.reveal(made["id"]) == installation.reveal(made["id"])
    installation.post("/invitations/request-new", {"token": token})
    assert installation.mail(made["inviteEmail"], 2).token == token


@pytest.mark.parametrize("kind", ["mailed", "revealed"])
def test_a_revealed_link_cannot_be_turned_into_a_mailed_one(installation: Installation, kind: str) -> None:
    made, mailed = installation.invited()
    revealed = installation.reveal(made["id"])
    (header, one, signature), (_, two, other) = mailed.split("."), revealed.split(".")
    mixed = f"{header}.{one}.{other}" if kind == "mailed" else f"{header}.{two}.{signature}"
    refused(installation.accept(mixed, **PROFILE), 401, "invitation-token-invalid")


def test_a_thief_of_the_database_and_the_log_holds_no_secret(installation: Installation) -> None:
    person = installation.user("team")
    made, token = installation.invited(token=person.token, role="customer")
    revealed = installation.reveal(made["id"])
    installation.post("/auth/password/reset-request", {"email": person.email})
    reset = installation.mail(person.email).token
    again = installation.post("/auth/refresh", {"refreshToken": person.refresh_token}).json
    key = installation.api_key("invitations:read")
    installation.get("/invitations", key)
    installation.call("GET", f"/invitation?token={token}")
    installation.call("GET", f"/password-reset?token={reset}")
    installation.post("/invitations/lookup", {"token": token[:-4] + "AAAA"})
    secrets = {
        "link": token,
        "revealed": revealed,
        "reset": reset,
        "access": person.token,
        "refresh": person.refresh_token,
        "second refresh": again["refreshToken"],
        "second access": again["accessToken"],
        "key": key,
        "full key": installation.key,
        "password": PASSWORD,
    }
    stored, log = dump(installation.database), installation.log
    for name, secret in secrets.items():
        for part in {secret, secret.split(".")[-1], secret.removeprefix("lsk_")[:24]}:
            assert part not in stored, f"{name} in the database"
            assert part not in log, f"{name} in the log"
    master = next(installation.directory.rglob("master.key")).read_text().strip().rpartition(":")[2]
    assert master not in stored + log


def test_the_master_key_is_its_owners_alone(installation: Installation) -> None:
    key = next(installation.directory.rglob("master.key"))
    assert key.stat().st_mode & 0o777 == 0o600
