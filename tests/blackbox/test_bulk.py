"""Inviting many at once, row by row: what is read, what becomes of each row, and how far its sender's rights go."""

import contextlib
import csv
import http.client
import io
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from tests.support.bulk_calls import api_key, customer, done, foreseen, send, total, verdicts
from tests.support.content_calls import access, article
from tests.support.installation import Installation, Person, new_address, refused

CSV = "text/csv"
MEBIBYTE = 1024 * 1024


# ---- rows ------------------------------------------------------------------------------------------------------------


def test_every_rule_of_a_single_create_holds_for_a_row(installation: Installation) -> None:
    """Each row has the verdict that the same body has alone: the code of its problem or of its first field."""
    group, other = installation.group(), installation.group()
    waiting = installation.invite(role="customer", groups=[group, other])
    member = installation.user("customer")
    owner = installation.user("admin")
    key = article(installation, owner)
    content = [{"contentType": "article", "key": key, "role": "EDITOR"}]
    rows: list[tuple[Any, tuple[str, str | None]]] = [
        (customer(), ("CREATE", None)),
        (customer(groups=[other, group], content=content, firstName="Ä", metadata={"a": [1]}), ("CREATE", None)),
        (customer(message="m" * 1000, locale="de", expiresIn="PT2H"), ("CREATE", None)),
        ({"inviteEmail": new_address(), "content": content}, ("CREATE", None)),
        (customer(groups=[other, group], inviteEmail=waiting["inviteEmail"].upper()), ("DUPLICATE", "already-invited")),
        (customer(inviteEmail=member.email), ("MEMBER", "already-member")),
        ({"inviteEmail": new_address()}, ("REFUSED", "grant-required")),
        (customer(role="king"), ("REFUSED", "unknown-role")),
        (customer(groups=["nowhere"]), ("REFUSED", "group-not-found")),
        (customer(content=[{**content[0], "key": "nothing"}]), ("REFUSED", "content-not-found")),
        (customer(content=[{**content[0], "contentType": "songs"}]), ("REFUSED", "content-not-found")),
        (customer(content=[{**content[0], "role": "OWNER"}]), ("REFUSED", None)),
        (customer(expiresIn="soon"), ("REFUSED", None)),
        (customer(expiresIn="P31D"), ("REFUSED", "out-of-bounds")),
        (customer(message="m" * 1001), ("REFUSED", None)),
        (customer(message="a\u0007b"), ("REFUSED", None)),
        (customer(firstName="n" * 101), ("REFUSED", None)),
        (customer(redirectUrl="https://evil.example/"), ("REFUSED", "redirect-not-allowed")),
        (customer(locale="!!"), ("REFUSED", None)),
        (customer(metadata=[1]), ("REFUSED", None)),
        (customer(nick="x"), ("REFUSED", "unknown-field")),
        (customer(role=7), ("REFUSED", None)),
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
        (customer(), ("CREATE", None)),
    ]  # fmt: skip
    before = total(installation)
    looked = foreseen(installation, [row for row, _ in rows])
    assert total(installation) == before
    carried_out = done(installation, [row for row, _ in rows])
    for items in (looked, carried_out):
        for item, (row, (status, code)) in zip(items, rows, strict=True):
            assert item["status"] == status, (row, item)
            assert code in {None, item.get("code")}, (row, item)
            if status == "CREATE":
                assert "code" not in item
            else:
                assert item["detail"], (row, item)
    assert verdicts(looked) == verdicts(carried_out)
    for (row, (status, _)), item in zip(rows, carried_out, strict=True):
        if status == "REFUSED" and isinstance(row, dict) and item["code"] != "unknown-field":
            alone = installation.post("/invitations", row, installation.key)
            assert alone.status in {404, 422}, (row, alone)
            codes = {alone.json["code"]} | {error["code"] for error in alone.json.get("errors", [])}
            assert item["code"] in codes, (row, item, alone.json)


def test_a_row_becomes_an_invitation_like_any_other(installation: Installation) -> None:
    group, owner = installation.group(), installation.user("admin")
    key = article(installation, owner)
    row = {
        "inviteEmail": new_address("Mixed.Case"), "role": "team", "groups": [group],
        "content": [{"contentType": "articles", "key": key, "role": "VIEWER"}], "firstName": "Ada", "lastName": "Löwe",
        "message": "Hello,\r\nyou.", "locale": "de", "expiresIn": "P2D", "metadata": {"crm": 7, "deep": {"a": None}},
        "redirectUrl": "https://app.orchard.example/in",
    }  # fmt: skip
    cells = row | {"groups": group, "content": f"articles/{key}:VIEWER", "metadata": json.dumps(row["metadata"])}
    lines = io.StringIO()
    table = csv.DictWriter(lines, [*cells])
    table.writeheader()
    table.writerow(cells | {"inviteEmail": new_address("In.Csv")})
    for body in ([row], lines.getvalue().encode()):
        (item,) = done(installation, body)
        made = installation.invitation(item["invitationId"])
        assert made["inviteEmail"] == item["email"]
        assert (made["role"], made["groups"], made["state"]) == ("team", [group], "PENDING")
        assert made["content"] == [{**row["content"][0], "void": False}]  # type: ignore[index]
        assert made["message"] == "Hello,\nyou."
        assert {made[name] for name in ("firstName", "lastName", "locale")} == {"Ada", "Löwe", "de"}
        assert made["metadata"] == row["metadata"]
        lifetime = datetime.fromisoformat(made["expiresAt"]) - datetime.fromisoformat(made["createdAt"])
        assert lifetime == timedelta(days=2)
        assert made["invitedBy"]["type"] == "API_KEY"
        assert installation.events(item["invitationId"])[0]["type"] == "invitation.created"
        assert (
            installation.accept(
                installation.mail_of(made).token, password="eleven quiet herons 7", acceptTerms=True
            ).status
            == 201
        )


def test_the_same_person_stands_several_times_in_a_file(installation: Installation) -> None:
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
    for items in (foreseen(installation, rows), done(installation, rows)):
        assert [item["status"] for item in items] == [
            "CREATE", "DUPLICATE", "CREATE", "DUPLICATE", "CREATE", "REFUSED", "CREATE",
        ]  # fmt: skip
        assert "1" in items[1]["detail"]
    assert total(installation, email=address) == 3
    for items in (foreseen(installation, rows), done(installation, rows)):
        assert [item["status"] for item in items] == [*["DUPLICATE"] * 5, "REFUSED", "DUPLICATE"]
        assert items[0]["code"] == "already-invited"
        assert installation.invitation(items[0]["invitationId"])["inviteEmail"] == address


def test_an_invitation_that_is_over_gives_way(installation: Installation) -> None:
    made = installation.invite(expiresIn="PT1S")
    installation.wait_until_expired(made["id"])
    declined, token = installation.invited()
    assert installation.post("/invitations/decline", {"token": token}).status == 200
    revoked = installation.invite()
    assert installation.delete(f"/invitations/{revoked['id']}", installation.key).status == 204
    rows = [customer(inviteEmail=one["inviteEmail"]) for one in (made, declined, revoked)]
    assert verdicts(foreseen(installation, rows)) == [("CREATE", None)] * 3
    assert verdicts(done(installation, rows)) == [("CREATE", None)] * 3
    assert installation.invitation(made["id"])["state"] == "EXPIRED"
    assert total(installation, email=made["inviteEmail"]) == 2
    assert total(installation, email=made["inviteEmail"], state="PENDING") == 1


# ---- ceilings --------------------------------------------------------------------------------------------------------


def test_the_ceiling_holds_for_each_row(installation: Installation) -> None:
    team, owner = installation.user("team"), installation.user("admin")
    lead = installation.user("lead")
    group, mine, foreign = installation.group(), article(installation, owner), article(installation, owner)
    installation.post("/groups", {"key": "open-house", "name": "Open house"}, installation.key)
    shared = {"accessType": "SHARED", "sharedUsers": {team.id: "MAINTAINER", lead.id: "EDITOR"}}
    assert installation.put(f"/content/articles/{mine}/access", shared, installation.key).status == 200

    def to(key: str, role: str = "EDITOR") -> dict[str, Any]:
        return {"inviteEmail": new_address(), "content": [{"contentType": "articles", "key": key, "role": role}]}

    refusal = ("REFUSED", "grant-not-allowed")
    asked: list[tuple[Person, Any, tuple[str, str | None]]] = [
        (team, customer(), ("CREATE", None)),
        (team, customer(role="team"), ("CREATE", None)),
        (team, customer(role="lead"), refusal),
        (team, customer(role="admin"), refusal),
        (team, customer(groups=[group]), refusal),
        (team, customer(groups=["no-such-group"]), refusal),
        (team, to(mine), ("CREATE", None)),
        (team, to(mine, "MAINTAINER"), ("CREATE", None)),
        (team, to(foreign), ("REFUSED", "content-not-found")),
        (team, {**to(mine), "role": "admin"}, refusal),
        (lead, to(mine), refusal),
        (lead, customer(groups=["open-house"]), ("CREATE", None)),
        (lead, customer(groups=["open-house", group]), refusal),
        (lead, customer(role="visitor"), refusal),
    ]
    for person in (team, lead):
        rows = [row for by, row, _ in asked if by is person]
        expected = [verdict for by, _, verdict in asked if by is person]
        assert verdicts(foreseen(installation, rows, by=person.token)) == expected
        assert verdicts(done(installation, rows, by=person.token)) == expected
        for row, verdict in zip(rows, expected, strict=True):
            if verdict == refusal:
                refused(installation.post("/invitations", row, person.token), 403, "grant-not-allowed")
    assert sorted(one["role"] for one in access(installation, mine)["invitations"]) == ["EDITOR", "MAINTAINER"]
    assert access(installation, foreign)["invitations"] == []


def test_keys_are_held_to_their_ceiling_and_their_scope(installation: Installation) -> None:
    plain, _ = api_key(installation, "invitations:write")
    rows = [customer(), customer(role="team"), customer(groups=[installation.group()])]
    assert [item["status"] for item in done(installation, rows, by=plain)] == ["CREATE", "REFUSED", "REFUSED"]
    for scopes in (("invitations:read",), ("content:write", "users:write")):
        key, _ = api_key(installation, *scopes)
        for dry in (True, False):
            refused(send(installation, rows, by=key, dry=dry), 403, "not-allowed")
    for token in ("lsk_nothing", "eyJ"):
        refused(send(installation, rows, by=token), 401)
    refused(installation.call("POST", "/api/invitations/bulk", rows), 401)


def test_what_others_sent_is_not_told_to_who_may_not_list_it(installation: Installation) -> None:
    waiting, member = installation.invite(role="customer"), installation.user("customer")
    sender = installation.user("sender")
    rows = [customer(inviteEmail=waiting["inviteEmail"]), customer(inviteEmail=member.email)]
    for items in (foreseen(installation, rows, by=sender.token), done(installation, rows, by=sender.token)):
        assert waiting["id"] not in json.dumps(items)
        assert "MEMBER" not in {item["status"] for item in items}


# ---- what is read ----------------------------------------------------------------------------------------------------


def table(text: str, encoding: str = "utf-8") -> bytes:
    return text.encode(encoding)


def test_what_cannot_be_read_is_refused_as_a_whole(installation: Installation) -> None:
    good = json.dumps(customer()).encode()
    many = b",".join([good] * 2000)
    cases: list[tuple[bytes, str | None, int]] = [
        (b"", "application/json", 400),
        (b"", CSV, 400),
        (b"   ", "application/json", 400),
        (b"{}", "application/json", 400),
        (good, "application/json", 400),
        (b"[" + many + b",]", "application/json", 400),
        (b"[" + many + b"", "application/json", 400),
        (b"[" + many + b', {"inviteEmail": ]', "application/json", 400),
        (b"[" + many + b"] []", "application/json", 400),
        (b"[" + many + b',{"role":"customer","role":"team"}]', "application/json", 400),
        (b"[" + many + b',{"metadata":{"a":1,"a":2}}]', "application/json", 400),
        (b"[" + many + b',{"metadata":' + b"[" * 64 + b"]" * 64 + b"}]", "application/json", 400),
        (b"[" + many + b',{"firstName":"\xff"}]', "application/json", 400),
        (b"[" + many + b',{"firstName":"\xed\xa0\x80"}]', "application/json", 400),
        (b"[]", "application/json", 422),
        (b"[" + good + b"]", "application/xml", 415),
        (b"[" + good + b"]", "text/plain", 415),
        (b"[" + good + b"]", "multipart/form-data; boundary=x", 415),
        (table("inviteEmail,role\na@people.test,customer\n"), "application/csv", 415),
        (table("inviteEmail,role\na@people.test,customer\n"), "text/csv; charset=klingon", 415),
        (table("inviteEmail,nick\na@people.test,customer\n"), CSV, 400),
        (table("inviteEmail,role,role\na@people.test,customer,team\n"), CSV, 400),
        (table("role\ncustomer\n"), CSV, 422),
        (table("inviteEmail,role\n"), CSV, 422),
        (table("inviteEmail,role\r\n" + "a@people.test,customer\r\n" * 3000) + b"\xff\xfe\xfd,x\r\n", CSV, 400),
        (table('inviteEmail,role\r\n"a@people.test,customer\r\n'), CSV, 400),
    ]
    before = total(installation)
    for body, media_type, status in cases:
        for dry in (True, False):
            answer = send(installation, body, media_type=media_type, dry=dry)
            problem = refused(answer, status)
            assert problem["detail"], (body[-60:], problem)
    for query in ("dryRun=maybe", "dry=true", "dryRun=true&dryRun=true"):
        refused(installation.call("POST", f"/api/invitations/bulk?{query}", [customer()], token=installation.key), 400)
    assert total(installation) == before


def test_64_mebibytes_are_the_most(installation: Installation) -> None:
    """Refused with an answer that the sender gets to read, announced or not."""
    piece = b" " * MEBIBYTE

    def body(pieces: int) -> Iterator[bytes]:
        yield b"["
        for _ in range(pieces):
            yield piece
        yield b'{"inviteEmail":"x@","role":"customer"}]'

    for announced in (True, False):
        connection = http.client.HTTPConnection("127.0.0.1", installation.port, timeout=60)
        headers = {"Authorization": f"Bearer {installation.key}", "Content-Type": "application/json"}
        if announced:
            headers["Content-Length"] = str(64 * MEBIBYTE + 40)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may answer before the end
            connection.request("POST", "/api/invitations/bulk", body(64), headers, encode_chunked=not announced)
        answer = connection.getresponse()
        problem = json.loads(answer.read())
        assert (answer.status, problem["code"]) == (413, "body-too-large")
        connection.close()
    fits = installation.call(
        "POST",
        "/api/invitations/bulk?dryRun=true",
        raw=b"".join([*body(63)]),
        headers={"Content-Type": "application/json"},
        token=installation.key,
    )
    assert fits.status == 200
    assert fits.json["items"][0]["status"] == "REFUSED"


def test_a_messy_spreadsheet_gets_the_right_verdict_for_each_row(installation: Installation) -> None:
    people = [new_address(f"Person{number}") for number in range(600)]
    lines = ['"Invite E-Mail";ROLE;"First Name";message;groups; ']
    lines += [f'  {one} ;customer;"Ann ""A""";"Hello;\r\nthere";;' for one in people]
    lines += [";;;;;", "   ;;\t;;;"]
    lines += [f"{one.upper()}\u00a0;customer;;;;" for one in people[:300]]
    broken = ["broken@", "@x", "a b@people.test", "a@b@c.test", "plain", "a@.test", "a,b@people.test"] * 3
    lines += [f"{one};customer;;;;" for one in broken[:20]]
    expected = [*["CREATE"] * 600, *["DUPLICATE"] * 300, *["REFUSED"] * 20]
    text = "\r\n".join([*lines, "", ""])
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"):
        items = foreseen(installation, text.encode(encoding))
        assert [item["status"] for item in items] == expected, encoding
        assert items[600]["detail"]
        assert {item["code"] for item in items[900:]} == {"invalid-email"}
    items = done(installation, "\r\n".join([lines[0], *lines[1:21], *lines[601:]]).encode("utf-16"))
    expected = [*["CREATE"] * 20, *["DUPLICATE"] * 20, *["CREATE"] * 280, *["REFUSED"] * 20]
    assert [item["status"] for item in items] == expected
