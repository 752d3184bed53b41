"""Everything at once, and everything that can break: killed processes, dead mail servers, cut connections.

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
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest
from tests.support.clock import PATIENCE_SECONDS, within
from tests.support.installation import PASSWORD, PROFILE, Answer, Installation, new_address
from tests.support.smtp_server import SmtpServer

T = TypeVar("T")
TAKEOVER_SECONDS = within(20)


def at_once(calls: Iterable[Callable[[], T]]) -> list[T]:
    """Do all of this at the same moment."""
    todo = list(calls)
    barrier = threading.Barrier(len(todo))

    def run(call: Callable[[], T]) -> T:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(todo)) as pool:
        return list(pool.map(run, todo))


def survived(call: Callable[[], Answer]) -> Answer | None:
    """The answer, or None when the server died first."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        return call()
    return None


def told(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json.get("code", "") if answer.json else ""


def kinds(installation: Installation, invitation_id: str) -> Counter[str]:
    return Counter(event["type"] for event in installation.events(invitation_id))


def users_with(installation: Installation, address: str) -> list[Any]:
    return list(installation.get(f"/users?email={address}", installation.key).json["items"])


def test_fifty_identical_accepts_make_one_account(killable_installation: Installation) -> None:
    group = killable_installation.group()
    made, token = killable_installation.invited(role="team", groups=[group])
    answers = at_once([lambda: killable_installation.accept(token, **PROFILE)] * 50)
    assert Counter(map(told, answers)) == {(201, ""): 1, (409, "invitation-accepted"): 49}
    assert len(users_with(killable_installation, made["inviteEmail"])) == 1
    assert killable_installation.get(f"/groups/{group}/members", killable_installation.key).json["total"] == 1
    assert kinds(killable_installation, made["id"])["invitation.accepted"] == 1


def test_fifty_accepts_of_an_existing_account_count_once(killable_installation: Installation) -> None:
    group, person = killable_installation.group(), killable_installation.user("customer")
    made, token = killable_installation.invited(person.email, groups=[group])
    answers = at_once([lambda: killable_installation.accept(token)] * 50)
    assert Counter(map(told, answers)) == {(200, ""): 1, (409, "invitation-accepted"): 49}
    assert kinds(killable_installation, made["id"])["invitation.accepted"] == 1


def test_accept_against_revoke_has_one_winner_both_know(killable_installation: Installation) -> None:
    for _ in range(25):
        made, token = killable_installation.invited()
        accepted, revoked = at_once(
            [
                lambda t=token: killable_installation.accept(t, **PROFILE),
                lambda i=made["id"]: killable_installation.delete(f"/invitations/{i}", killable_installation.key),
            ]
        )
        after, count = killable_installation.invitation(made["id"]), kinds(killable_installation, made["id"])
        known = len(users_with(killable_installation, made["inviteEmail"]))
        if accepted.status == 201:
            assert told(revoked) == (409, "invitation-not-pending")
            assert (after["state"], known) == ("ACCEPTED", 1)
        else:
            assert told(accepted) == (410, "invitation-revoked")
            assert (revoked.status, after["state"], known) == (204, "REVOKED", 0)
        assert count["invitation.accepted"] + count["invitation.revoked"] == 1


def test_accept_against_decline_and_resend_has_one_winner(killable_installation: Installation) -> None:
    for path in ("decline", "resend"):
        for _ in range(10):
            made, token = killable_installation.invited()
            other: Callable[[], Answer] = (
                (lambda t=token: killable_installation.post("/invitations/decline", {"token": t}))
                if path == "decline"
                else (
                    lambda i=made["id"]: killable_installation.post(
                        f"/invitations/{i}/resend", token=killable_installation.key
                    )
                )
            )
            accepted, rival = at_once([lambda t=token: killable_installation.accept(t, **PROFILE), other])
            state = killable_installation.invitation(made["id"])["state"]
            if accepted.status == 201:
                assert (rival.status, state) == (409, "ACCEPTED")
            else:
                lost = {"decline": ((410, "invitation-declined"), 200), "resend": ((410, "invitation-superseded"), 202)}
                assert (told(accepted), rival.status) == lost[path]
                assert state == {"decline": "DECLINED", "resend": "PENDING"}[path]


def test_ten_identical_creates_are_one_invitation_and_one_mail(killable_installation: Installation) -> None:
    for _ in range(5):
        sent = {"inviteEmail": new_address(), "role": "customer"}
        answers = at_once(
            [lambda s=sent: killable_installation.post("/invitations", s, killable_installation.key)] * 10
        )
        assert Counter(map(told, answers)) == {(201, ""): 1, (409, "already-invited"): 9}
        (first,) = (answer.json["id"] for answer in answers if answer.status == 201)
        assert {answer.json["id"] for answer in answers} == {first}
        killable_installation.delivery(first, "SENT")
        assert len(killable_installation.smtp.to(sent["inviteEmail"])) == 1


def test_creates_over_an_expired_one_make_one_more(killable_installation: Installation) -> None:
    old = killable_installation.invite(expiresIn="PT1S")
    killable_installation.wait_until_expired(old["id"])
    sent = {"inviteEmail": old["inviteEmail"], "role": "customer"}
    answers = at_once([lambda: killable_installation.post("/invitations", sent, killable_installation.key)] * 10)
    assert Counter(answer.status for answer in answers) == {201: 1, 409: 9}
    assert kinds(killable_installation, old["id"])["invitation.expired"] == 1


def test_the_same_idempotency_key_at_once_is_one_effect(killable_installation: Installation) -> None:
    headers = {"Idempotency-Key": new_address()}
    sent = {"inviteEmail": new_address(), "role": "customer"}
    answers = at_once(
        [lambda: killable_installation.post("/invitations", sent, killable_installation.key, headers=headers)] * 20
    )
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1


def test_two_invitations_accepted_at_once_make_one_account_with_both(killable_installation: Installation) -> None:
    for _ in range(5):
        one, two, address = killable_installation.group(), killable_installation.group(), new_address()
        first, one_token = killable_installation.invited(address, groups=[one])
        second, two_token = killable_installation.invited(address, groups=[two])
        answers = at_once([lambda t=t: killable_installation.accept(t, **PROFILE) for t in (one_token, two_token)])
        assert {answer.status for answer in answers} <= {200, 201, 409}, answers
        (user,) = users_with(killable_installation, address)
        states = {
            one: killable_installation.invitation(first["id"])["state"],
            two: killable_installation.invitation(second["id"])["state"],
        }
        assert set(user["groups"]) == {group for group, state in states.items() if state == "ACCEPTED"}
        assert len(user["groups"]) >= 1


def test_many_resends_leave_one_link_that_opens(killable_installation: Installation) -> None:
    made, _ = killable_installation.invited()
    answers = at_once(
        [lambda: killable_installation.post(f"/invitations/{made['id']}/resend", token=killable_installation.key)] * 10
    )
    good = [answer.json for answer in answers if answer.status == 202]
    assert {answer.status for answer in answers} <= {202, 503}
    assert len({one["generation"] for one in good}) == len(good)
    last = max(good, key=lambda one: one["generation"])
    assert killable_installation.invitation(made["id"])["generation"] == last["generation"] == len(good) + 1
    assert killable_installation.accept(killable_installation.mail_of(last).token, **PROFILE).status == 201


def test_one_refresh_token_used_twice_at_once_never_gives_two_sessions(killable_installation: Installation) -> None:
    person = killable_installation.user()
    answers = at_once([lambda: killable_installation.post("/auth/refresh", {"refreshToken": person.refresh_token})] * 8)
    assert Counter(answer.status for answer in answers)[200] <= 1
    alive = [
        a
        for a in answers
        if a.status == 200 and killable_installation.get("/users/me", a.json["accessToken"]).status == 200
    ]
    assert alive == []


def test_a_group_that_goes_while_people_come_leaves_nobody_half_in(killable_installation: Installation) -> None:
    for _ in range(8):
        group = killable_installation.group()
        made, token = killable_installation.invited(groups=[group])
        accepted, deleted = at_once(
            [
                lambda t=token: killable_installation.accept(t, **PROFILE),
                lambda g=group: killable_installation.delete(f"/groups/{g}", killable_installation.key),
            ]
        )
        assert deleted.status == 204
        assert told(accepted) in {(201, ""), (410, "invitation-revoked")}
        state = killable_installation.invitation(made["id"])["state"]
        assert (
            (state == "ACCEPTED")
            == (accepted.status == 201)
            == bool(users_with(killable_installation, made["inviteEmail"]))
        )


def test_a_sponsor_blocked_while_people_come(killable_installation: Installation) -> None:
    for _ in range(5):
        sponsor = killable_installation.user("team")
        made, token = killable_installation.invited(token=sponsor.token, role="customer")
        accepted, blocked = at_once(
            [
                lambda t=token: killable_installation.accept(t, **PROFILE),
                lambda s=sponsor.id: killable_installation.patch(
                    f"/users/{s}", {"blocked": True}, killable_installation.key
                ),
            ]
        )
        assert blocked.status == 200
        assert told(accepted) in {(201, ""), (409, "inviter-not-allowed")}
        assert bool(users_with(killable_installation, made["inviteEmail"])) == (accepted.status == 201)


def killed_in_the_middle(
    killable_installation: Installation, calls: list[Callable[[], Answer]], answers: int
) -> list[Answer | None]:
    """Kill the server once some of the calls are answered; every answer that was given."""
    given = list[Answer | None]()
    enough = threading.Semaphore(0)

    def run(call: Callable[[], Answer]) -> Answer | None:
        answer = survived(call)
        enough.release()
        return answer

    with ThreadPoolExecutor(len(calls)) as pool:
        running = [pool.submit(run, call) for call in calls]
        for _ in range(answers):
            enough.acquire()
        killable_installation.crash()
        given = [one.result() for one in running]
    killable_installation.mend()
    return given


@pytest.mark.parametrize("answers", [1, 20, 50])
def test_killed_in_the_middle_of_creates_every_promised_mail_goes(
    killable_installation: Installation, answers: int
) -> None:
    sent = [{"inviteEmail": new_address("kill"), "role": "customer"} for _ in range(80)]
    calls: list[Callable[[], Answer]] = [
        lambda s=s: killable_installation.post("/invitations", s, killable_installation.key) for s in sent
    ]
    given = killed_in_the_middle(killable_installation, calls, answers)
    promised = [answer.json for answer in given if answer and answer.status == 201]
    assert len(promised) >= 1
    for made in promised:
        mails = killable_installation.smtp.wait_for(made["inviteEmail"])
        assert len({(mail.message_id, mail.token) for mail in mails}) == 1
        assert mails[0].token.endswith(made["secret"][-4:])
    for body in sent:
        found = killable_installation.get(f"/invitations?email={body['inviteEmail']}", killable_installation.key).json[
            "items"
        ]
        assert len(found) <= 1
        if found:  # stored though the answer was lost: the mail goes all the same
            assert killable_installation.delivery(found[0]["id"], "SENT")
            assert killable_installation.smtp.to(body["inviteEmail"])


@pytest.mark.parametrize("answers", [1, 10])
def test_killed_in_the_middle_of_accepts_accepted_means_an_account(
    killable_installation: Installation, answers: int
) -> None:
    group = killable_installation.group()
    invited = [killable_installation.invite(role="customer", groups=[group]) for _ in range(30)]
    tokens = [killable_installation.mail_of(made).token for made in invited]
    given = killed_in_the_middle(
        killable_installation, [lambda t=t: killable_installation.accept(t, **PROFILE) for t in tokens], answers
    )
    members = {
        user["id"]
        for user in killable_installation.get(f"/groups/{group}/members?limit=200", killable_installation.key).json[
            "items"
        ]
    }
    for made, answer in zip(invited, given, strict=True):
        state, users = (
            killable_installation.invitation(made["id"])["state"],
            users_with(killable_installation, made["inviteEmail"]),
        )
        assert (state == "ACCEPTED") == (len(users) == 1)
        assert state in {"ACCEPTED", "PENDING"}
        assert kinds(killable_installation, made["id"])["invitation.accepted"] == len(users)
        assert all(user["id"] in members for user in users)
        assert answer is None or answer.status != 201 or state == "ACCEPTED"
    for made, token in zip(invited, tokens, strict=True):
        if killable_installation.invitation(made["id"])["state"] == "PENDING":
            assert killable_installation.accept(token, **PROFILE).status == 201


def test_mail_waits_for_a_mail_server_that_is_down(killable_installation: Installation) -> None:
    old = killable_installation.smtp
    old.close()
    time.sleep(0.2)  # connections that are still open are given up
    made = [killable_installation.invite() for _ in range(5)]
    time.sleep(2)
    assert {killable_installation.invitation(one["id"])["delivery"]["state"] for one in made} <= {"QUEUED", "DEFERRED"}
    killable_installation.smtp = SmtpServer(port=old.port)
    for one in made:
        killable_installation.delivery(one["id"], "SENT")
        assert len(killable_installation.smtp.to(one["inviteEmail"])) == 1


def test_patience_at_the_final_dot_sends_once_and_holds_up_nobody(killable_installation: Installation) -> None:
    slow, quick = new_address("slow"), [new_address("quick") for _ in range(6)]
    killable_installation.smtp.hold(slow)
    first = killable_installation.invite(slow)
    for other in [killable_installation.invite(address) for address in quick]:
        killable_installation.delivery(other["id"], "SENT")
    wait_until(lambda: bool(killable_installation.smtp.tries_of(slow)))
    time.sleep(6)  # longer than the timeout of every other step
    assert killable_installation.smtp.to(slow) == []
    killable_installation.smtp.release(slow)
    assert killable_installation.delivery(first["id"], "SENT")["attempts"] == 1
    assert len(killable_installation.smtp.to(slow)) == 1


def test_what_a_killed_worker_held_is_taken_over(killable_installation: Installation) -> None:
    addresses = [new_address("held") for _ in range(6)]
    for address in addresses:
        killable_installation.smtp.slow[address] = 30.0
    made = [killable_installation.invite(address) for address in addresses]
    wait_until(lambda: any(killable_installation.smtp.tries_of(address) for address in addresses))
    killable_installation.smtp.slow.clear()
    victims = (
        killable_installation.processes[-3:] if killable_installation.crowded else [killable_installation.processes[0]]
    )
    for victim in victims:
        killable_installation.stop(victim, how=signal.SIGKILL)
    killed_at = time.monotonic()
    for _ in victims[1:] if killable_installation.crowded else ():
        killable_installation.run("worker")
    if killable_installation.crowded:
        killable_installation.run("worker")
    else:
        killable_installation.mend()
    for one in made:
        killable_installation.delivery(one["id"], "SENT", seconds=TAKEOVER_SECONDS)
    assert time.monotonic() - killed_at < TAKEOVER_SECONDS
    for address in addresses:
        assert len({(mail.message_id, mail.token) for mail in killable_installation.smtp.to(address)}) == 1


def wait_until(holds: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def request_bytes(killable_installation: Installation, number: int) -> bytes:
    body = json.dumps({"email": f"nobody{number}@people.test", "password": PASSWORD}).encode()
    head = f"POST /api/auth/login HTTP/1.1\r\nHost: 127.0.0.1:{killable_installation.port}\r\n"
    head += "Content-Type: application/json\r\n"
    return head.encode() + f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


def test_a_server_told_to_end_answers_whoever_it_has_heard(killable_installation: Installation) -> None:
    server = killable_installation.processes.pop(0)
    try:
        connections = [
            socket.create_connection(("127.0.0.1", killable_installation.port), timeout=PATIENCE_SECONDS)
            for _ in range(20)
        ]
        for number, connection in enumerate(connections):
            connection.sendall(request_bytes(killable_installation, number))
        select.select(connections, [], [], PATIENCE_SECONDS)  # one is answered, so all have been read
        start = time.monotonic()
        server.send_signal(signal.SIGTERM)
        first_lines = list[bytes]()
        for connection in connections:
            with connection, connection.makefile("rb") as answer:
                first_lines.append(answer.readline())
        assert server.wait(PATIENCE_SECONDS) == 0
        assert time.monotonic() - start < within(10)
        assert {line.split()[1] for line in first_lines} == {b"401"}
    finally:
        server.kill()
        server.wait()
        killable_installation.start(*(["--no-worker"] if killable_installation.crowded else []))
        killable_installation.processes.insert(0, killable_installation.processes.pop())


def test_a_worker_told_to_end_hands_back_what_it_holds(killable_installation: Installation) -> None:
    address = new_address("handed")
    killable_installation.smtp.slow[address] = 30.0
    made = killable_installation.invite(address)
    wait_until(lambda: bool(killable_installation.smtp.tries_of(address)))
    killable_installation.smtp.slow.clear()
    killable_installation.restart()
    killable_installation.delivery(made["id"], "SENT", seconds=15)
    assert len({mail.message_id for mail in killable_installation.smtp.to(address)}) == 1


def test_connections_the_database_cuts_are_made_again(killable_installation: Installation) -> None:
    if killable_installation.database.startswith("sqlite"):
        pytest.skip("a file is always there")
    made = killable_installation.invite()
    for _ in range(3):
        asyncio.run(_cut_all(killable_installation.database.replace("postgresql+asyncpg", "postgresql")))
        statuses = [
            killable_installation.post(
                "/invitations", {"inviteEmail": new_address(), "role": "customer"}, killable_installation.key
            ).status
        ]
        wait_until(
            lambda: killable_installation.get(f"/invitations/{made['id']}", killable_installation.key).status == 200, 10
        )
        assert set(statuses) <= {201, 503}
    again = killable_installation.invite()
    killable_installation.delivery(again["id"], "SENT")
    assert killable_installation.call("GET", "/readyz").status == 200


async def _cut_all(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await connection.close()


def test_two_migrations_at_once_are_one(
    new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory: Path = tmp_path_factory.mktemp("migrations")
    smtp = SmtpServer()
    try:
        installation = Installation(directory, new_database(), smtp)
        at_once([lambda: installation.cli("migrate")] * 3)
        installation.cli("migrate", "--check")
        installation.open()
        installation.key = installation.api_key("*")
        installation.invited()
    finally:
        installation.stop()
        smtp.close()
