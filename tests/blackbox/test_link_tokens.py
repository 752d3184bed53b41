"""Tokens of links cannot be forged or changed, and are not stored."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from tests.support.database_dump import dump
from tests.support.installation import PASSWORD, PROFILE, Installation, check_problem
from tests.support.installations import StartInstallation


def encode_part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode_part(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def forge_tokens(token: str) -> dict[str, str]:
    """Return invalid variants of a token by name."""
    header, payload, signature = token.split(".")
    claims = decode_part(payload)
    changed = {name: value + 1 if isinstance(value, int) else value[::-1] for name, value in claims.items()}
    tokens = {
        f"{name} changed": f"{header}.{encode_part(claims | {name: value})}.{signature}"
        for name, value in changed.items()
    }
    signed_with_nothing = hmac.digest(b"", f"{header}.{payload}".encode(), hashlib.sha256)
    last = signature[-1]
    neighbour = next(letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" if letter != last)
    return tokens | {
        "alg none": f"{encode_part({'alg': 'none'})}.{payload}.",
        "alg none with signature": f"{encode_part({'alg': 'none'})}.{payload}.{signature}",
        "alg HS512": f"{encode_part({'alg': 'HS512'})}.{payload}.{signature}",
        "header with key": f"{encode_part({'alg': 'HS256', 'jwk': {'kty': 'oct', 'k': 'AA'}})}.{payload}.{signature}",
        "no signature": f"{header}.{payload}.",
        "two parts": f"{header}.{payload}",
        "four parts": f"{token}.{signature}",
        "empty key": f"{header}.{payload}.{encode_part(signed_with_nothing)}",
        "signature padded": f"{token}=",
        "signature longer": f"{token}A",
        "signature shorter": token[:-1],
        "last letter": token[:-1] + neighbour,
        "spare bits": token[:-1] + chr(ord(last) + 1),
        "space": f" {token}",
        "newline": f"{token}\n",
        "upper case": token.upper(),
        "payload not JSON": f"{header}.{encode_part(b'hello')}.{signature}",
        "payload a list": f"{header}.{encode_part([1])}.{signature}",
        "not ASCII": f"{token}ü",
        "control characters": f"{token}\x00\n",
        "very long": token * 30,
        "very deep": f"{header}.{encode_part(b'[' * 3000)}.{signature}",
        "nothing": "ey",
    }


def test_forged_links_get_the_same_refusal(installation: Installation) -> None:
    invitation, token = installation.invite_with_token()
    answers = list[Any]()
    for name, forged in forge_tokens(token).items():
        for path, body in (("lookup", {}), ("accept", PROFILE), ("decline", {})):
            answer = installation.post(f"/invitations/{path}", {"token": forged, **body})
            assert answer.status == 401, (name, answer)
            answers.append(check_problem(answer, 401, "invitation-token-invalid") | {"instance": 0})
    assert all(answer == answers[0] for answer in answers)
    assert installation.invitation(invitation["id"])["state"] == "PENDING"
    assert installation.accept(token, **PROFILE).status == 201


def test_a_link_of_another_installation_is_refused(
    installation: Installation, start_installation: StartInstallation
) -> None:
    other = start_installation()
    _, token = other.invite_with_token()
    check_problem(installation.post("/invitations/lookup", {"token": token}), 401, "invitation-token-invalid")
    _, mine = installation.invite_with_token()
    check_problem(other.accept(mine, **PROFILE), 401, "invitation-token-invalid")


def test_two_installations_with_the_same_key_do_not_share_links(
    installation: Installation, start_installation: StartInstallation
) -> None:
    other = start_installation()
    key = next(installation.directory.rglob("master.key"))
    (other.directory / "var" / "copied.key").write_text(key.read_text())
    (other.directory / "var" / "copied.key").chmod(0o600)
    third = start_installation(extra=f'\n[secrets]\nmaster-key-file = "{other.directory}/var/copied.key"\n')
    _, token = installation.invite_with_token()
    check_problem(third.post("/invitations/lookup", {"token": token}), 401, "invitation-token-invalid")


def test_a_link_is_the_same_each_time(installation: Installation) -> None:
    invitation, token = installation.invite_with_token()
    assert installation.reveal(invitation["id"]) == installation.reveal(invitation["id"])
    installation.post("/invitations/request-new", {"token": token})
    assert installation.mail(invitation["inviteEmail"], 2).token == token


@pytest.mark.parametrize("kind", ["mailed", "revealed"])
def test_a_revealed_link_cannot_be_turned_into_a_mailed_one(installation: Installation, kind: str) -> None:
    invitation, mailed = installation.invite_with_token()
    revealed = installation.reveal(invitation["id"])
    (header, mailed_payload, mailed_signature), (_, revealed_payload, revealed_signature) = (
        mailed.split("."),
        revealed.split("."),
    )
    mixed = (
        f"{header}.{mailed_payload}.{revealed_signature}"
        if kind == "mailed"
        else f"{header}.{revealed_payload}.{mailed_signature}"
    )
    check_problem(installation.accept(mixed, **PROFILE), 401, "invitation-token-invalid")


def test_database_and_log_contain_no_secret(installation: Installation) -> None:
    user = installation.user("team")
    invitation, token = installation.invite_with_token(token=user.token, role="customer")
    revealed = installation.reveal(invitation["id"])
    installation.post("/auth/password/reset-request", {"email": user.email})
    reset = installation.mail(user.email).token
    refreshed = installation.post("/auth/refresh", {"refreshToken": user.refresh_token}).json
    key = installation.api_key("invitations:read")
    installation.get("/invitations", key)
    installation.call("GET", f"/invitation?token={token}")
    installation.call("GET", f"/password-reset?token={reset}")
    installation.post("/invitations/lookup", {"token": token[:-4] + "AAAA"})
    secrets = {
        "link": token,
        "revealed": revealed,
        "reset": reset,
        "access": user.token,
        "refresh": user.refresh_token,
        "second refresh": refreshed["refreshToken"],
        "second access": refreshed["accessToken"],
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


def test_only_the_owner_can_read_the_master_key(installation: Installation) -> None:
    key = next(installation.directory.rglob("master.key"))
    assert key.stat().st_mode & 0o777 == 0o600
