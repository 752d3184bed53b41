"""Bulk invitations: reading of rows, their results, and the permissions of their sender."""

import contextlib
import csv
import http.client
import io
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from tests.support.bulk_calls import (
    codes_of,
    count_invitations,
    create_api_key,
    customer_row,
    dry_run,
    post_rows,
    run_job,
)
from tests.support.content_calls import create_object, get_access
from tests.support.installation import Installation, SignedInUser, check_problem, new_address

CSV = "text/csv"
MEBIBYTE = 1024 * 1024


# ---- rows ------------------------------------------------------------------------------------------------------------


def test_each_row_is_validated_like_a_single_invitation(installation: Installation) -> None:
    """A row gets the code that the same body gets as a single request: of the problem or of a field."""
    group, other = installation.group(), installation.group()
    pending = installation.invite(role="customer", groups=[group, other])
    pending_row = {"inviteEmail": pending["inviteEmail"].upper(), "role": "customer", "groups": [other, group]}
    member = installation.user("customer")
    owner = installation.user("admin")
    key = create_object(installation, owner)
    content = [{"contentType": "article", "key": key, "role": "EDITOR"}]
    rows: list[tuple[Any, tuple[str, str | None]]] = [
        (customer_row(), ("CREATE", None)),
        (customer_row(groups=[other, group], content=content, firstName="Ä", metadata={"a": [1]}), ("CREATE", None)),
        (customer_row(message="m" * 1000, locale="de", expiresIn="PT2H"), ("CREATE", None)),
        ({"inviteEmail": new_address(), "content": content}, ("CREATE", None)),
        (pending_row, ("DUPLICATE", "already-invited")),
        (customer_row(inviteEmail=member.email), ("MEMBER", "already-member")),
        ({"inviteEmail": new_address()}, ("REFUSED", "grant-required")),
        (customer_row(role="king"), ("REFUSED", "unknown-role")),
        (customer_row(groups=["nowhere"]), ("REFUSED", "group-not-found")),
        (customer_row(content=[{**content[0], "key": "nothing"}]), ("REFUSED", "content-not-found")),
        (customer_row(content=[{**content[0], "contentType": "songs"}]), ("REFUSED", "content-not-found")),
        (customer_row(content=[{**content[0], "role": "OWNER"}]), ("REFUSED", None)),
        (customer_row(expiresIn="soon"), ("REFUSED", None)),
        (customer_row(expiresIn="P31D"), ("REFUSED", "out-of-bounds")),
        (customer_row(message="m" * 1001), ("REFUSED", None)),
        (customer_row(message="a\u0007b"), ("REFUSED", None)),
        (customer_row(firstName="n" * 101), ("REFUSED", None)),
        (customer_row(redirectUrl="https://evil.example/"), ("REFUSED", "redirect-not-allowed")),
        (customer_row(locale="!!"), ("REFUSED", None)),
        (customer_row(metadata=[1]), ("REFUSED", None)),
        (customer_row(nick="x"), ("REFUSED", "unknown-field")),
        (customer_row(role=7), ("REFUSED", None)),
        ({"role": "customer"}, ("REFUSED", "required")),
        *[
            ({"inviteEmail": address, "role": "customer"}, ("REFUSED", "invalid-email"))
            for address in (
                "", "broken", "broken@", "@people.test", "a b@people.test", "a@b@people.test", '"a"@people.test',
                "a@[127.0.0.1]", "a@people..test", ".a@people.test", "a\u200b@people.test", "\u202ea@people.test",
                f"{'x' * 65}@people.test", f"a@{'x' * 250}.test", "a@people.test\n", "a(x)@people.test",
            )
        ],
        ([], ("REFUSED", "invalid-type")),
        ("a@people.test", ("REFUSED", "invalid-type")),
        (None, ("REFUSED", "invalid-type")),
        (customer_row(), ("CREATE", None)),
    ]  # fmt: skip
    count_before = count_invitations(installation)
    dry_run_items = dry_run(installation, [row for row, _ in rows])
    assert count_invitations(installation) == count_before
    job_items = run_job(installation, [row for row, _ in rows])
    for items in (dry_run_items, job_items):
        for item, (row, (status, code)) in zip(items, rows, strict=True):
            assert item["status"] == status, (row, item)
            assert code in {None, item.get("code")}, (row, item)
            if status == "CREATE":
                assert "code" not in item
            else:
                assert item["detail"], (row, item)
    assert codes_of(dry_run_items) == codes_of(job_items)
    for (row, (status, _)), item in zip(rows, job_items, strict=True):
        if status == "REFUSED" and isinstance(row, dict) and item["code"] != "unknown-field":
            answer = installation.post("/invitations", row, installation.key)
            assert answer.status in {404, 422}, (row, answer)
            codes = {answer.json["code"]} | {error["code"] for error in answer.json.get("errors", [])}
            assert item["code"] in codes, (row, item, answer.json)


def test_a_row_creates_a_complete_invitation(installation: Installation) -> None:
    group, owner = installation.group(), installation.user("admin")
    key = create_object(installation, owner)
    row = {
        "inviteEmail": new_address("Mixed.Case"), "role": "team", "groups": [group],
        "content": [{"contentType": "articles", "key": key, "role": "VIEWER"}], "firstName": "Ada", "lastName": "Löwe",
        "message": "Hello,\r\nyou.", "locale": "de", "expiresIn": "P2D", "metadata": {"crm": 7, "deep": {"a": None}},
        "redirectUrl": "https://app.orchard.example/in",
    }  # fmt: skip
    cells = row | {"groups": group, "content": f"articles/{key}:VIEWER", "metadata": json.dumps(row["metadata"])}
    text = io.StringIO()
    table = csv.DictWriter(text, [*cells])
    table.writeheader()
    table.writerow(cells | {"inviteEmail": new_address("In.Csv")})
    for body in ([row], text.getvalue().encode()):
        (item,) = run_job(installation, body)
        invitation = installation.invitation(item["invitationId"])
        assert invitation["inviteEmail"] == item["email"]
        assert (invitation["role"], invitation["groups"], invitation["state"]) == ("team", [group], "PENDING")
        assert invitation["content"] == [{**row["content"][0], "void": False}]  # type: ignore[index]
        assert invitation["message"] == "Hello,\nyou."
        assert {invitation[name] for name in ("firstName", "lastName", "locale")} == {"Ada", "Löwe", "de"}
        assert invitation["metadata"] == row["metadata"]
        lifetime = datetime.fromisoformat(invitation["expiresAt"]) - datetime.fromisoformat(invitation["createdAt"])
        assert lifetime == timedelta(days=2)
        assert invitation["invitedBy"]["type"] == "API_KEY"
        assert installation.events(item["invitationId"])[0]["type"] == "invitation.created"
        assert (
            installation.accept(
                installation.mail_of(invitation).token, password="eleven quiet herons 7", acceptTerms=True
            ).status
            == 201
        )


def test_repeated_addresses_are_duplicates_only_with_the_same_grants(installation: Installation) -> None:
    groups = [installation.group(), installation.group()]
    address = new_address("one")
    rows = [
        {"inviteEmail": address, "groups": groups},
        {"inviteEmail": address.upper(), "groups": groups[::-1]},
        {"inviteEmail": address, "groups": groups[:1]},
        {"inviteEmail": address, "groups": groups, "message": "other words, same grants"},
        {"inviteEmail": address, "role": "customer", "groups": groups},
        {"inviteEmail": f" {address}", "groups": groups},
        {"inviteEmail": address.replace("@", "+b@"), "groups": groups},
    ]
    for items in (dry_run(installation, rows), run_job(installation, rows)):
        assert [item["status"] for item in items] == [
            "CREATE", "DUPLICATE", "CREATE", "DUPLICATE", "CREATE", "REFUSED", "CREATE",
        ]  # fmt: skip
        assert "1" in items[1]["detail"]
    assert count_invitations(installation, email=address) == 3
    for items in (dry_run(installation, rows), run_job(installation, rows)):
        assert [item["status"] for item in items] == [*["DUPLICATE"] * 5, "REFUSED", "DUPLICATE"]
        assert items[0]["code"] == "already-invited"
        assert installation.invitation(items[0]["invitationId"])["inviteEmail"] == address


def test_an_ended_invitation_does_not_block_a_row(installation: Installation) -> None:
    expired = installation.invite(expiresIn="PT1S")
    installation.wait_until_expired(expired["id"])
    declined, token = installation.invite_with_token()
    assert installation.post("/invitations/decline", {"token": token}).status == 200
    revoked = installation.invite()
    assert installation.delete(f"/invitations/{revoked['id']}", installation.key).status == 204
    rows = [customer_row(inviteEmail=invitation["inviteEmail"]) for invitation in (expired, declined, revoked)]
    assert codes_of(dry_run(installation, rows)) == [("CREATE", None)] * 3
    assert codes_of(run_job(installation, rows)) == [("CREATE", None)] * 3
    assert installation.invitation(expired["id"])["state"] == "EXPIRED"
    assert count_invitations(installation, email=expired["inviteEmail"]) == 2
    assert count_invitations(installation, email=expired["inviteEmail"], state="PENDING") == 1


# ---- permissions of the sender ---------------------------------------------------------------------------------------


def test_each_row_is_limited_by_the_senders_permissions(installation: Installation) -> None:
    team, owner = installation.user("team"), installation.user("admin")
    lead = installation.user("lead")
    group, shared_key, other_key = (
        installation.group(),
        create_object(installation, owner),
        create_object(installation, owner),
    )
    installation.post("/groups", {"key": "open-house", "name": "Open house"}, installation.key)
    body = {"accessType": "SHARED", "sharedUsers": {team.id: "MAINTAINER", lead.id: "EDITOR"}}
    assert installation.put(f"/content/articles/{shared_key}/access", body, installation.key).status == 200

    def row_for(key: str, role: str = "EDITOR") -> dict[str, Any]:
        return {"inviteEmail": new_address(), "content": [{"contentType": "articles", "key": key, "role": role}]}

    refusal = ("REFUSED", "grant-not-allowed")
    cases: list[tuple[SignedInUser, Any, tuple[str, str | None]]] = [
        (team, customer_row(), ("CREATE", None)),
        (team, customer_row(role="team"), ("CREATE", None)),
        (team, customer_row(role="lead"), refusal),
        (team, customer_row(role="admin"), refusal),
        (team, customer_row(groups=[group]), refusal),
        (team, customer_row(groups=["no-such-group"]), refusal),
        (team, row_for(shared_key), ("CREATE", None)),
        (team, row_for(shared_key, "MAINTAINER"), ("CREATE", None)),
        (team, row_for(other_key), ("REFUSED", "content-not-found")),
        (team, {**row_for(shared_key), "role": "admin"}, refusal),
        (lead, row_for(shared_key), refusal),
        (lead, customer_row(groups=["open-house"]), ("CREATE", None)),
        (lead, customer_row(groups=["open-house", group]), refusal),
        (lead, customer_row(role="visitor"), refusal),
    ]
    for user in (team, lead):
        rows = [row for by, row, _ in cases if by is user]
        expected = [result for by, _, result in cases if by is user]
        assert codes_of(dry_run(installation, rows, by=user.token)) == expected
        assert codes_of(run_job(installation, rows, by=user.token)) == expected
        for row, result in zip(rows, expected, strict=True):
            if result == refusal:
                check_problem(installation.post("/invitations", row, user.token), 403, "grant-not-allowed")
    assert sorted(invitation["role"] for invitation in get_access(installation, shared_key)["invitations"]) == [
        "EDITOR",
        "MAINTAINER",
    ]
    assert get_access(installation, other_key)["invitations"] == []


def test_rows_are_limited_by_scope_and_grants_of_an_api_key(installation: Installation) -> None:
    plain, _ = create_api_key(installation, "invitations:write")
    rows = [customer_row(), customer_row(role="team"), customer_row(groups=[installation.group()])]
    assert [item["status"] for item in run_job(installation, rows, by=plain)] == ["CREATE", "REFUSED", "REFUSED"]
    for scopes in (("invitations:read",), ("content:write", "users:write")):
        key, _ = create_api_key(installation, *scopes)
        for is_dry_run in (True, False):
            check_problem(post_rows(installation, rows, by=key, dry_run=is_dry_run), 403, "not-allowed")
    for token in ("lsk_nothing", "eyJ"):
        check_problem(post_rows(installation, rows, by=token), 401)
    check_problem(installation.call("POST", "/api/invitations/bulk", rows), 401)


def test_invitations_of_others_are_not_revealed_without_read_permission(installation: Installation) -> None:
    pending, member = installation.invite(role="customer"), installation.user("customer")
    sender = installation.user("sender")
    rows = [customer_row(inviteEmail=pending["inviteEmail"]), customer_row(inviteEmail=member.email)]
    for items in (dry_run(installation, rows, by=sender.token), run_job(installation, rows, by=sender.token)):
        assert pending["id"] not in json.dumps(items)
        assert "MEMBER" not in {item["status"] for item in items}


# ---- reading of bodies -----------------------------------------------------------------------------------------------


def csv_bytes(text: str, encoding: str = "utf-8") -> bytes:
    return text.encode(encoding)


def test_an_unreadable_body_is_refused_as_a_whole(installation: Installation) -> None:
    row = json.dumps(customer_row()).encode()
    rows = b",".join([row] * 2000)
    cases: list[tuple[bytes, str | None, int]] = [
        (b"", "application/json", 400),
        (b"", CSV, 400),
        (b"   ", "application/json", 400),
        (b"{}", "application/json", 400),
        (row, "application/json", 400),
        (b"[" + rows + b",]", "application/json", 400),
        (b"[" + rows + b"", "application/json", 400),
        (b"[" + rows + b', {"inviteEmail": ]', "application/json", 400),
        (b"[" + rows + b"] []", "application/json", 400),
        (b"[" + rows + b',{"role":"customer","role":"team"}]', "application/json", 400),
        (b"[" + rows + b',{"metadata":{"a":1,"a":2}}]', "application/json", 400),
        (b"[" + rows + b',{"metadata":' + b"[" * 64 + b"]" * 64 + b"}]", "application/json", 400),
        (b"[" + rows + b',{"firstName":"\xff"}]', "application/json", 400),
        (b"[" + rows + b',{"firstName":"\xed\xa0\x80"}]', "application/json", 400),
        (b"[]", "application/json", 422),
        (b"[" + row + b"]", "application/xml", 415),
        (b"[" + row + b"]", "text/plain", 415),
        (b"[" + row + b"]", "multipart/form-data; boundary=x", 415),
        (csv_bytes("inviteEmail,role\na@people.test,customer\n"), "application/csv", 415),
        (csv_bytes("inviteEmail,role\na@people.test,customer\n"), "text/csv; charset=klingon", 415),
        (csv_bytes("inviteEmail,nick\na@people.test,customer\n"), CSV, 400),
        (csv_bytes("inviteEmail,role,role\na@people.test,customer,team\n"), CSV, 400),
        (csv_bytes("role\ncustomer\n"), CSV, 422),
        (csv_bytes("inviteEmail,role\n"), CSV, 422),
        (csv_bytes("inviteEmail,role\r\n" + "a@people.test,customer\r\n" * 3000) + b"\xff\xfe\xfd,x\r\n", CSV, 400),
        (csv_bytes('inviteEmail,role\r\n"a@people.test,customer\r\n'), CSV, 400),
    ]
    count_before = count_invitations(installation)
    for body, media_type, status in cases:
        for is_dry_run in (True, False):
            answer = post_rows(installation, body, media_type=media_type, dry_run=is_dry_run)
            problem = check_problem(answer, status)
            assert problem["detail"], (body[-60:], problem)
    for query in ("dryRun=maybe", "dry_run=true", "dryRun=true&dryRun=true"):
        check_problem(
            installation.call("POST", f"/api/invitations/bulk?{query}", [customer_row()], token=installation.key), 400
        )
    assert count_invitations(installation) == count_before


def test_a_body_over_64_mebibytes_is_refused(installation: Installation) -> None:
    """The sender gets the answer, with and without Content-Length."""
    chunk = b" " * MEBIBYTE

    def body(chunk_count: int) -> Iterator[bytes]:
        yield b"["
        for _ in range(chunk_count):
            yield chunk
        yield b'{"inviteEmail":"x@","role":"customer"}]'

    for has_length in (True, False):
        connection = http.client.HTTPConnection("127.0.0.1", installation.port, timeout=60)
        headers = {"Authorization": f"Bearer {installation.key}", "Content-Type": "application/json"}
        if has_length:
            headers["Content-Length"] = str(64 * MEBIBYTE + 40)
        with contextlib.suppress(
            BrokenPipeError, ConnectionResetError
        ):  # the server may answer before the end of the body
            connection.request("POST", "/api/invitations/bulk", body(64), headers, encode_chunked=not has_length)
        answer = connection.getresponse()
        problem = json.loads(answer.read())
        assert (answer.status, problem["code"]) == (413, "body-too-large")
        connection.close()
    dry_run_answer = installation.call(
        "POST",
        "/api/invitations/bulk?dryRun=true",
        raw=b"".join([*body(63)]),
        headers={"Content-Type": "application/json"},
        token=installation.key,
    )
    assert dry_run_answer.status == 200
    assert dry_run_answer.json["items"][0]["status"] == "REFUSED"


def test_a_messy_spreadsheet_gets_the_right_result_for_each_row(installation: Installation) -> None:
    addresses = [new_address(f"SignedInUser{number}") for number in range(600)]
    lines = ['"Invite E-Mail";ROLE;"First Name";message;groups; ']
    lines += [f'  {address} ;customer;"Ann ""A""";"Hello;\r\nthere";;' for address in addresses]
    lines += [";;;;;", "   ;;\t;;;"]
    lines += [f"{address.upper()}\u00a0;customer;;;;" for address in addresses[:300]]
    invalid_addresses = ["broken@", "@x", "a b@people.test", "a@b@c.test", "plain", "a@.test", "a,b@people.test"] * 3
    lines += [f"{address};customer;;;;" for address in invalid_addresses[:20]]
    expected = [*["CREATE"] * 600, *["DUPLICATE"] * 300, *["REFUSED"] * 20]
    text = "\r\n".join([*lines, "", ""])
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"):
        items = dry_run(installation, text.encode(encoding))
        assert [item["status"] for item in items] == expected, encoding
        assert items[600]["detail"]
        assert {item["code"] for item in items[900:]} == {"invalid-email"}
    items = run_job(installation, "\r\n".join([lines[0], *lines[1:21], *lines[601:]]).encode("utf-16"))
    expected = [*["CREATE"] * 20, *["DUPLICATE"] * 20, *["CREATE"] * 280, *["REFUSED"] * 20]
    assert [item["status"] for item in items] == expected
