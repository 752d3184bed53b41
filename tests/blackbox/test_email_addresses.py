"""Email addresses: which are valid, and which are the same."""

import pytest
from tests.support.installation import PASSWORD, PROFILE, Installation, check_problem, numbers, pointers

INVALID = [
    "",
    "nobody",
    "@people.test",
    "nobody@",
    "a b@people.test",
    " a@people.test",
    "a@people.test ",
    "a@people.test\n",
    "a@b@people.test",
    '"quoted"@people.test',
    "a(comment)@people.test",
    "a@[127.0.0.1]",
    "a@127.0.0.1",
    "a@[IPv6:::1]",
    "Ada <a@people.test>",
    ".a@people.test",
    "a.@people.test",
    "a..b@people.test",
    "a@-people.test",
    "a@people..test",
    "a@people_x.test",
    "a\x00@people.test",
    "a\u200b@people.test",
    "a\u202e@people.test",
    "a\u2066b@people.test",
    "a\ufeff@people.test",
    "a\u00ad@people.test",
    "a@peo\u200dple.test",
    "a@people.test\r\nBcc: b@people.test",
    "a" * 65 + "@people.test",
    "ü" * 33 + "@people.test",
    "a@" + ".".join(["b" * 60] * 5) + ".test",
    "a,b@people.test",
    "a@people.test,b@people.test",
]  # fmt: skip


@pytest.mark.parametrize("address", INVALID, ids=range(len(INVALID)))
def test_an_invalid_address_is_refused(installation: Installation, address: str) -> None:
    problem = check_problem(
        installation.post("/invitations", {"inviteEmail": address, "role": "customer"}, installation.key), 422
    )
    assert pointers(problem) == {"/inviteEmail"}
    user = {"email": address, "firstName": "A", "lastName": "B"}
    assert pointers(check_problem(installation.post("/users", user, installation.key), 422)) == {"/email"}


@pytest.mark.parametrize(
    "local",
    ["a+b", "a.b.c", "o'hara", "x_y-z", "!#$%&'*+/=?^_`{|}~", "1", "jörg", "用户", "a" * 40],
)
def test_a_valid_address_is_stored_as_typed(installation: Installation, local: str) -> None:
    address = f"{local}@n{next(numbers)}.Example"
    invitation, _ = installation.invite_with_token(address)
    assert invitation["inviteEmail"] == address
    assert installation.delivery(invitation["id"], "SENT")


SAME = [
    ("Ada.Lovelace@{0}.test", "ADA.lovelace@{0}.TEST"),
    ("ada@{0}-bücher.example", "ada@{1}.example"),
    ("ada@{0}-BÜCHER.example", "ada@{0}-bücher.example"),
    ("jo\u0308rg@{0}.test", "j\u00f6rg@{0}.test"),
    ("ada@{0}-bu\u0308cher.example", "ada@{0}-b\u00fccher.example"),
]
DIFFERENT = [
    ("a+b@{0}.test", "a@{0}.test"),
    ("a.b@{0}.test", "ab@{0}.test"),
    ("Äda@{0}.test", "äda@{0}.test"),
    ("paypal@{0}.test", "p\u0430ypal@{0}.test"),
    ("\u212aate@{0}.test", "kate@{0}.test"),
    ("ı@{0}.test", "i@{0}.test"),
    ("straße@{0}.test", "strasse@{0}.test"),
    ("\uff41da@{0}.test", "ada@{0}.test"),
]


def new_domain_names(pattern: str) -> tuple[str, str]:
    name = f"d{next(numbers)}"
    return name, f"{name}-bücher".encode("idna").decode()


@pytest.mark.parametrize("pair", SAME, ids=range(len(SAME)))
def test_two_spellings_of_one_address_are_one_user(installation: Installation, pair: tuple[str, str]) -> None:
    names = new_domain_names(pair[0])
    first_spelling, second_spelling = (pattern.format(*names) for pattern in pair)
    invitation = installation.invite(first_spelling)
    body = {"inviteEmail": second_spelling, "role": "customer"}
    assert (
        check_problem(installation.post("/invitations", body, installation.key), 409, "already-invited")["id"]
        == invitation["id"]
    )
    assert installation.accept(installation.mail_of(invitation).token, **PROFILE).status == 201
    assert installation.login(second_spelling).email == second_spelling
    user = {"email": second_spelling, "firstName": "A", "lastName": "B", "password": PASSWORD}
    check_problem(installation.post("/users", user, installation.key), 409)
    check_problem(installation.post("/invitations", body, installation.key), 409, "already-member")


@pytest.mark.parametrize("pair", DIFFERENT, ids=range(len(DIFFERENT)))
def test_addresses_that_look_alike_are_different_users(installation: Installation, pair: tuple[str, str]) -> None:
    names = new_domain_names(pair[0])
    sent = [{"inviteEmail": pattern.format(*names), "role": "customer"} for pattern in pair]
    answers = [installation.post("/invitations", body, installation.key) for body in sent]
    # a lookalike may be refused, but never be taken for the other address
    assert {answer.status for answer in answers} in ({201}, {201, 422})


def test_a_lookalike_address_cannot_sign_in(installation: Installation) -> None:
    user = installation.user(email=f"kate@d{next(numbers)}.test")
    lookalike = user.email.replace("k", "\u212a", 1)
    answer = installation.post("/auth/login", {"email": lookalike, "password": PASSWORD})
    assert answer.status in {401, 422}
