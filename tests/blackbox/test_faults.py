"""Concurrency and faults: killed processes, mail servers that are down, lost connections.

Each case runs on SQLite, on PostgreSQL, and on PostgreSQL with two servers and three workers.
"""

import asyncio
import contextlib
import http.client
import json
import select
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.support.clock import PATIENCE_SECONDS, time_limit
from tests.support.concurrency import run_concurrently
from tests.support.installation import PASSWORD, PROFILE, Answer, Installation, new_address
from tests.support.smtp_server import SmtpServer

TAKEOVER_SECONDS = time_limit(20)


def call_or_none(call: Callable[[], Answer]) -> Answer | None:
    """Return the answer, or None if the server died first."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        return call()
    return None


def status_and_code(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json.get("code", "") if answer.json else ""


def count_events(installation: Installation, invitation_id: str) -> Counter[str]:
    return Counter(event["type"] for event in installation.events(invitation_id))


def list_users(installation: Installation, address: str) -> list[Any]:
    return list(installation.get(f"/users?email={address}", installation.key).json["items"])


def test_fifty_identical_accepts_create_one_account(killable_installation: Installation) -> None:
    group = killable_installation.group()
    invitation, token = killable_installation.invite_with_token(role="team", groups=[group])
    answers = run_concurrently(*[lambda: killable_installation.accept(token, **PROFILE)] * 50)
    assert Counter(map(status_and_code, answers)) == {(201, ""): 1, (409, "invitation-accepted"): 49}
    assert len(list_users(killable_installation, invitation["inviteEmail"])) == 1
    assert killable_installation.get(f"/groups/{group}/members", killable_installation.key).json["total"] == 1
    assert count_events(killable_installation, invitation["id"])["invitation.accepted"] == 1


def test_fifty_accepts_of_an_existing_account_count_once(killable_installation: Installation) -> None:
    group, user = killable_installation.group(), killable_installation.user("customer")
    invitation, token = killable_installation.invite_with_token(user.email, groups=[group])
    answers = run_concurrently(*[lambda: killable_installation.accept(token)] * 50)
    assert Counter(map(status_and_code, answers)) == {(200, ""): 1, (409, "invitation-accepted"): 49}
    assert count_events(killable_installation, invitation["id"])["invitation.accepted"] == 1


def test_accept_against_revoke_has_one_winner(killable_installation: Installation) -> None:
    for _ in range(25):
        invitation, token = killable_installation.invite_with_token()
        accepted, revoked = run_concurrently(
            lambda t=token: killable_installation.accept(t, **PROFILE),
            lambda i=invitation["id"]: killable_installation.delete(f"/invitations/{i}", killable_installation.key),
        )
        after, count = (
            killable_installation.invitation(invitation["id"]),
            count_events(killable_installation, invitation["id"]),
        )
        user_count = len(list_users(killable_installation, invitation["inviteEmail"]))
        if accepted.status == 201:
            assert status_and_code(revoked) == (409, "invitation-not-pending")
            assert (after["state"], user_count) == ("ACCEPTED", 1)
        else:
            assert status_and_code(accepted) == (410, "invitation-revoked")
            assert (revoked.status, after["state"], user_count) == (204, "REVOKED", 0)
        assert count["invitation.accepted"] + count["invitation.revoked"] == 1


def test_accept_against_decline_and_resend_has_one_winner(killable_installation: Installation) -> None:
    for path in ("decline", "resend"):
        for _ in range(10):
            invitation, token = killable_installation.invite_with_token()
            other: Callable[[], Answer] = (
                (lambda t=token: killable_installation.post("/invitations/decline", {"token": t}))
                if path == "decline"
                else (
                    lambda i=invitation["id"]: killable_installation.post(
                        f"/invitations/{i}/resend", token=killable_installation.key
                    )
                )
            )
            accepted, rival = run_concurrently(lambda t=token: killable_installation.accept(t, **PROFILE), other)
            state = killable_installation.invitation(invitation["id"])["state"]
            if accepted.status == 201:
                assert (rival.status, state) == (409, "ACCEPTED")
            else:
                lost = {"decline": ((410, "invitation-declined"), 200), "resend": ((410, "invitation-superseded"), 202)}
                assert (status_and_code(accepted), rival.status) == lost[path]
                assert state == {"decline": "DECLINED", "resend": "PENDING"}[path]


def test_ten_identical_creates_make_one_invitation_and_one_mail(killable_installation: Installation) -> None:
    for _ in range(5):
        body = {"inviteEmail": new_address(), "role": "customer"}
        answers = run_concurrently(
            *[lambda s=body: killable_installation.post("/invitations", s, killable_installation.key)] * 10
        )
        assert Counter(map(status_and_code, answers)) == {(201, ""): 1, (409, "already-invited"): 9}
        (first,) = (answer.json["id"] for answer in answers if answer.status == 201)
        assert {answer.json["id"] for answer in answers} == {first}
        killable_installation.delivery(first, "SENT")
        assert len(killable_installation.smtp.to(body["inviteEmail"])) == 1


def test_concurrent_creates_after_an_expired_invitation_create_one(killable_installation: Installation) -> None:
    old = killable_installation.invite(expiresIn="PT1S")
    killable_installation.wait_until_expired(old["id"])
    body = {"inviteEmail": old["inviteEmail"], "role": "customer"}
    answers = run_concurrently(
        *[lambda: killable_installation.post("/invitations", body, killable_installation.key)] * 10
    )
    assert Counter(answer.status for answer in answers) == {201: 1, 409: 9}
    assert count_events(killable_installation, old["id"])["invitation.expired"] == 1


def test_concurrent_requests_with_one_idempotency_key_have_one_effect(killable_installation: Installation) -> None:
    headers = {"Idempotency-Key": new_address()}
    body = {"inviteEmail": new_address(), "role": "customer"}
    answers = run_concurrently(
        *[lambda: killable_installation.post("/invitations", body, killable_installation.key, headers=headers)] * 20
    )
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1


def test_two_concurrent_accepts_create_one_account_with_both_grants(killable_installation: Installation) -> None:
    for _ in range(5):
        first_group, second_group, address = killable_installation.group(), killable_installation.group(), new_address()
        first, first_token = killable_installation.invite_with_token(address, groups=[first_group])
        second, second_token = killable_installation.invite_with_token(address, groups=[second_group])
        answers = run_concurrently(
            *[lambda t=t: killable_installation.accept(t, **PROFILE) for t in (first_token, second_token)]
        )
        assert {answer.status for answer in answers} <= {200, 201, 409}, answers
        (user,) = list_users(killable_installation, address)
        states = {
            first_group: killable_installation.invitation(first["id"])["state"],
            second_group: killable_installation.invitation(second["id"])["state"],
        }
        assert set(user["groups"]) == {group for group, state in states.items() if state == "ACCEPTED"}
        assert len(user["groups"]) >= 1


def test_concurrent_resends_leave_one_valid_link(killable_installation: Installation) -> None:
    created, _ = killable_installation.invite_with_token()
    answers = run_concurrently(
        *[lambda: killable_installation.post(f"/invitations/{created['id']}/resend", token=killable_installation.key)]
        * 10
    )
    resent = [answer.json for answer in answers if answer.status == 202]
    assert {answer.status for answer in answers} <= {202, 503}
    assert len({invitation["generation"] for invitation in resent}) == len(resent)
    last = max(resent, key=lambda invitation: invitation["generation"])
    assert killable_installation.invitation(created["id"])["generation"] == last["generation"] == len(resent) + 1
    assert killable_installation.accept(killable_installation.mail_of(last).token, **PROFILE).status == 201


def test_concurrent_use_of_a_refresh_token_leaves_no_session(killable_installation: Installation) -> None:
    user = killable_installation.user()
    answers = run_concurrently(
        *[lambda: killable_installation.post("/auth/refresh", {"refreshToken": user.refresh_token})] * 8
    )
    assert Counter(answer.status for answer in answers)[200] <= 1
    alive = [
        a
        for a in answers
        if a.status == 200 and killable_installation.get("/users/me", a.json["accessToken"]).status == 200
    ]
    assert alive == []


def test_deleting_a_group_during_an_accept_leaves_a_consistent_state(killable_installation: Installation) -> None:
    for _ in range(8):
        group = killable_installation.group()
        invitation, token = killable_installation.invite_with_token(groups=[group])
        accepted, deleted = run_concurrently(
            lambda t=token: killable_installation.accept(t, **PROFILE),
            lambda g=group: killable_installation.delete(f"/groups/{g}", killable_installation.key),
        )
        assert deleted.status == 204
        assert status_and_code(accepted) in {(201, ""), (410, "invitation-revoked")}
        state = killable_installation.invitation(invitation["id"])["state"]
        assert (
            (state == "ACCEPTED")
            == (accepted.status == 201)
            == bool(list_users(killable_installation, invitation["inviteEmail"]))
        )


def test_blocking_a_sponsor_during_an_accept_leaves_a_consistent_state(killable_installation: Installation) -> None:
    for _ in range(5):
        sponsor = killable_installation.user("team")
        invitation, token = killable_installation.invite_with_token(token=sponsor.token, role="customer")
        accepted, blocked = run_concurrently(
            lambda t=token: killable_installation.accept(t, **PROFILE),
            lambda s=sponsor.id: killable_installation.patch(
                f"/users/{s}", {"blocked": True}, killable_installation.key
            ),
        )
        assert blocked.status == 200
        assert status_and_code(accepted) in {(201, ""), (409, "inviter-not-allowed")}
        assert bool(list_users(killable_installation, invitation["inviteEmail"])) == (accepted.status == 201)


def crash_during(
    killable_installation: Installation, calls: list[Callable[[], Answer]], answers: int
) -> list[Answer | None]:
    """Kill the server after some of the calls are answered; return the answers, None for calls without one."""
    results = list[Answer | None]()
    answered = threading.Semaphore(0)

    def run(call: Callable[[], Answer]) -> Answer | None:
        answer = call_or_none(call)
        answered.release()
        return answer

    with ThreadPoolExecutor(len(calls)) as pool:
        futures = [pool.submit(run, call) for call in calls]
        for _ in range(answers):
            answered.acquire()
        killable_installation.crash()
        results = [future.result() for future in futures]
    killable_installation.restart_crashed()
    return results


@pytest.mark.parametrize("answers", [1, 20, 50])
def test_after_a_crash_every_created_invitation_is_mailed(killable_installation: Installation, answers: int) -> None:
    bodies = [{"inviteEmail": new_address("kill"), "role": "customer"} for _ in range(80)]
    calls: list[Callable[[], Answer]] = [
        lambda s=s: killable_installation.post("/invitations", s, killable_installation.key) for s in bodies
    ]
    results = crash_during(killable_installation, calls, answers)
    created = [answer.json for answer in results if answer and answer.status == 201]
    assert len(created) >= 1
    for invitation in created:
        mails = killable_installation.smtp.wait_for(invitation["inviteEmail"])
        assert len({(mail.message_id, mail.token) for mail in mails}) == 1
        assert mails[0].token.endswith(invitation["secret"][-4:])
    for body in bodies:
        invitations = killable_installation.get(
            f"/invitations?email={body['inviteEmail']}", killable_installation.key
        ).json["items"]
        assert len(invitations) <= 1
        if invitations:  # stored, although the answer was lost: the mail is sent as well
            assert killable_installation.delivery(invitations[0]["id"], "SENT")
            assert killable_installation.smtp.to(body["inviteEmail"])


@pytest.mark.parametrize("answers", [1, 10])
def test_after_a_crash_every_accepted_invitation_has_an_account(
    killable_installation: Installation, answers: int
) -> None:
    group = killable_installation.group()
    invitations = [killable_installation.invite(role="customer", groups=[group]) for _ in range(30)]
    tokens = [killable_installation.mail_of(invitation).token for invitation in invitations]
    results = crash_during(
        killable_installation, [lambda t=t: killable_installation.accept(t, **PROFILE) for t in tokens], answers
    )
    members = {
        user["id"]
        for user in killable_installation.get(f"/groups/{group}/members?limit=200", killable_installation.key).json[
            "items"
        ]
    }
    for invitation, answer in zip(invitations, results, strict=True):
        state, users = (
            killable_installation.invitation(invitation["id"])["state"],
            list_users(killable_installation, invitation["inviteEmail"]),
        )
        assert (state == "ACCEPTED") == (len(users) == 1)
        assert state in {"ACCEPTED", "PENDING"}
        assert count_events(killable_installation, invitation["id"])["invitation.accepted"] == len(users)
        assert all(user["id"] in members for user in users)
        assert answer is None or answer.status != 201 or state == "ACCEPTED"
    for invitation, token in zip(invitations, tokens, strict=True):
        if killable_installation.invitation(invitation["id"])["state"] == "PENDING":
            assert killable_installation.accept(token, **PROFILE).status == 201


def test_mail_is_sent_once_the_mail_server_is_back(killable_installation: Installation) -> None:
    old = killable_installation.smtp
    old.close()
    time.sleep(0.2)  # until open connections are closed
    invitations = [killable_installation.invite() for _ in range(5)]
    time.sleep(2)
    assert {killable_installation.invitation(invitation["id"])["delivery"]["state"] for invitation in invitations} <= {
        "QUEUED",
        "DEFERRED",
    }
    killable_installation.smtp = SmtpServer(port=old.port)
    for invitation in invitations:
        killable_installation.delivery(invitation["id"], "SENT")
        assert len(killable_installation.smtp.to(invitation["inviteEmail"])) == 1


def test_a_late_reply_to_the_data_delays_no_other_mail(killable_installation: Installation) -> None:
    slow, quick = new_address("slow"), [new_address("quick") for _ in range(6)]
    killable_installation.smtp.hold(slow)
    first = killable_installation.invite(slow)
    for other in [killable_installation.invite(address) for address in quick]:
        killable_installation.delivery(other["id"], "SENT")
    wait_until(lambda: bool(killable_installation.smtp.attempts_of(slow)))
    time.sleep(6)  # longer than the timeout of other steps
    assert killable_installation.smtp.to(slow) == []
    killable_installation.smtp.release(slow)
    assert killable_installation.delivery(first["id"], "SENT")["attempts"] == 1
    assert len(killable_installation.smtp.to(slow)) == 1


def test_mails_of_a_killed_worker_are_taken_over(killable_installation: Installation) -> None:
    addresses = [new_address("held") for _ in range(6)]
    for address in addresses:
        killable_installation.smtp.reply_delays[address] = 30.0
    invitations = [killable_installation.invite(address) for address in addresses]
    wait_until(lambda: any(killable_installation.smtp.attempts_of(address) for address in addresses))
    killable_installation.smtp.reply_delays.clear()
    victims = (
        killable_installation.processes[-3:]
        if killable_installation.multi_process
        else [killable_installation.processes[0]]
    )
    for victim in victims:
        killable_installation.stop(victim, with_signal=signal.SIGKILL)
    killed_at = time.monotonic()
    for _ in victims[1:] if killable_installation.multi_process else ():
        killable_installation.run("worker")
    if killable_installation.multi_process:
        killable_installation.run("worker")
    else:
        killable_installation.restart_crashed()
    for invitation in invitations:
        killable_installation.delivery(invitation["id"], "SENT", seconds=TAKEOVER_SECONDS)
    assert time.monotonic() - killed_at < TAKEOVER_SECONDS
    for address in addresses:
        assert len({(mail.message_id, mail.token) for mail in killable_installation.smtp.to(address)}) == 1


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def request_bytes(killable_installation: Installation, number: int) -> bytes:
    body = json.dumps({"email": f"nobody{number}@people.test", "password": PASSWORD}).encode()
    head = f"POST /api/auth/login HTTP/1.1\r\nHost: 127.0.0.1:{killable_installation.port}\r\n"
    head += "Content-Type: application/json\r\n"
    return head.encode() + f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


def test_a_stopping_server_answers_accepted_requests(killable_installation: Installation) -> None:
    server = killable_installation.processes.pop(0)
    try:
        connections = [
            socket.create_connection(("127.0.0.1", killable_installation.port), timeout=PATIENCE_SECONDS)
            for _ in range(20)
        ]
        for number, connection in enumerate(connections):
            connection.sendall(request_bytes(killable_installation, number))
        select.select(connections, [], [], PATIENCE_SECONDS)  # one is answered, so the server has read all
        start = time.monotonic()
        server.send_signal(signal.SIGTERM)
        first_lines = list[bytes]()
        for connection in connections:
            with connection, connection.makefile("rb") as answer:
                first_lines.append(answer.readline())
        assert server.wait(PATIENCE_SECONDS) == 0
        assert time.monotonic() - start < time_limit(10)
        assert {line.split()[1] for line in first_lines} == {b"401"}
    finally:
        server.kill()
        server.wait()
        killable_installation.start(*(["--no-worker"] if killable_installation.multi_process else []))
        killable_installation.processes.insert(0, killable_installation.processes.pop())


def test_a_stopping_worker_releases_its_mails(killable_installation: Installation) -> None:
    address = new_address("handed")
    killable_installation.smtp.reply_delays[address] = 30.0
    invitation = killable_installation.invite(address)
    wait_until(lambda: bool(killable_installation.smtp.attempts_of(address)))
    killable_installation.smtp.reply_delays.clear()
    killable_installation.restart()
    killable_installation.delivery(invitation["id"], "SENT", seconds=15)
    assert len({mail.message_id for mail in killable_installation.smtp.to(address)}) == 1


def test_lost_database_connections_are_replaced(killable_installation: Installation) -> None:
    if killable_installation.database.startswith("sqlite"):
        pytest.skip("SQLite has no connections to lose")
    invitation = killable_installation.invite()
    for _ in range(3):
        asyncio.run(_terminate_connections(killable_installation.database.replace("postgresql+asyncpg", "postgresql")))
        statuses = [
            killable_installation.post(
                "/invitations", {"inviteEmail": new_address(), "role": "customer"}, killable_installation.key
            ).status
        ]
        wait_until(
            lambda: (
                killable_installation.get(f"/invitations/{invitation['id']}", killable_installation.key).status == 200
            ),
            10,
        )
        assert set(statuses) <= {201, 503}
    again = killable_installation.invite()
    killable_installation.delivery(again["id"], "SENT")
    assert killable_installation.call("GET", "/readyz").status == 200


async def _terminate_connections(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await connection.close()


def test_concurrent_migrations_run_once(
    new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory: Path = tmp_path_factory.mktemp("migrations")
    smtp = SmtpServer()
    try:
        installation = Installation(directory, new_database(), smtp)
        run_concurrently(*[lambda: installation.cli("migrate")] * 3)
        installation.cli("migrate", "--check")
        installation.open()
        installation.key = installation.api_key("*")
        installation.invite_with_token()
    finally:
        installation.stop()
        smtp.close()
