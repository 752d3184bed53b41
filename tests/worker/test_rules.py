"""The rules of sending, without a network."""

from datetime import timedelta
from uuid import uuid4

import pytest

from latchstring.domain.clock import system_clock
from latchstring.domain.ids import new_id
from latchstring.domain.mail import DeliveryState, MailKind
from latchstring.domain.settings import PaceRules, RetryRules
from latchstring.mail.senders import DeliveryResult, SendAttempt
from latchstring.mail.smtp.circuit_breaker import LONGEST_REST, Circuit
from latchstring.mail.smtp.concurrency import MAX_IN_FLIGHT, TALKING, TALKING_PER_DOMAIN, DomainBusy, Slots
from latchstring.mail.smtp.pacing import Pace
from latchstring.storage.outbox.outbox import OutboxRow
from latchstring.worker.mail import back_off, judge
from latchstring.worker.sweeps import MOST_ROUNDS, Sweep, run_once

RULES = RetryRules(first=timedelta(seconds=5), factor=3, maximum=timedelta(hours=1), give_up=timedelta(days=2))


def a_row(*, attempts: int = 0, age: timedelta = timedelta(0)) -> OutboxRow:
    at = system_clock() - age
    return OutboxRow(new_id(at), MailKind.INVITATION, uuid4(), 1, None, DeliveryState.QUEUED, attempts)


def test_the_first_pause_is_near_its_rule() -> None:
    pauses = [back_off(RULES, 1).total_seconds() for _ in range(200)]
    assert 4 <= min(pauses) < max(pauses) <= 5


def test_pauses_grow_to_the_longest_and_differ() -> None:
    assert 7.5 <= back_off(RULES, 2).total_seconds() <= 15
    late = {back_off(RULES, 40).total_seconds() for _ in range(50)}
    assert all(1800 <= pause <= 3600 for pause in late)
    assert len(late) > 40


def test_a_mail_too_old_for_another_try_has_failed() -> None:
    delivery, again_at = judge(
        SendAttempt(DeliveryResult.LATER, "451 later"), a_row(age=timedelta(days=2)), RULES, system_clock()
    )
    assert (delivery.state, delivery.last_reply, again_at) == (DeliveryState.FAILED, "451 later", None)


def test_trouble_of_the_installation_never_waits_long() -> None:
    now = system_clock()
    delivery, again_at = judge(SendAttempt(DeliveryResult.TROUBLE, "535 no"), a_row(attempts=12), RULES, now)
    assert delivery.state is DeliveryState.DEFERRED
    assert again_at is not None
    assert again_at - now <= LONGEST_REST


@pytest.mark.parametrize(
    ("fate", "state"),
    [
        (DeliveryResult.TAKEN, DeliveryState.SENT),
        (DeliveryResult.NO_RECIPIENT, DeliveryState.BOUNCED),
        (DeliveryResult.REFUSED, DeliveryState.FAILED),
        (DeliveryResult.OFF, DeliveryState.SUPPRESSED),
    ],
)
def test_an_end_is_an_end(fate: DeliveryResult, state: DeliveryState) -> None:
    delivery, again_at = judge(SendAttempt(fate, "reply"), a_row(), RULES, system_clock())
    assert (delivery.state, again_at) == (state, None)


def test_no_domain_gets_every_place() -> None:
    slots = Slots()
    ids = [uuid4() for _ in range(TALKING)]
    for mail_id in ids:
        slots.begin(mail_id)
    for mail_id in ids[:TALKING_PER_DOMAIN]:
        slots.name_domain(mail_id, "big.test")
    with pytest.raises(DomainBusy):
        slots.name_domain(ids[-1], "big.test")
    slots.name_domain(ids[-1], "small.test")


def test_waiting_for_the_last_word_gives_the_place_to_others() -> None:
    slots = Slots()
    for number in range(MAX_IN_FLIGHT):
        assert slots.free() > 0, number
        mail_id = uuid4()
        slots.begin(mail_id)
        slots.name_domain(mail_id, f"d{number}.test")
        slots.wait_for_last_word(mail_id)
    assert slots.free() == 0


def test_a_domain_that_asks_for_patience_gets_one_at_a_time_until_it_takes_one() -> None:
    slots = Slots()
    first, second, third = uuid4(), uuid4(), uuid4()
    slots.begin(first)
    slots.name_domain(first, "slow.test")
    slots.end(first, put_off=True)
    slots.begin(second)
    slots.begin(third)
    slots.name_domain(second, "slow.test")
    with pytest.raises(DomainBusy):
        slots.name_domain(third, "slow.test")
    slots.end(second, put_off=False)
    slots.name_domain(third, "slow.test")


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_trouble_gives_the_server_a_growing_rest_then_one_probe() -> None:
    time = Time()
    circuit = Circuit(time, first_rest=timedelta(seconds=5), factor=3)
    rests = []
    for _ in range(5):
        circuit.report_trouble()
        rests.append(circuit.rest_left().total_seconds())
        time.now += rests[-1]
        assert circuit.is_probing
        assert not circuit.rest_left()
    assert rests == [5, 15, 30, 30, 30]
    circuit.report_well()
    assert not circuit.is_probing


def test_many_who_find_the_same_trouble_are_one_finding() -> None:
    circuit = Circuit(Time(), first_rest=timedelta(seconds=5), factor=3)
    for _ in range(10):
        circuit.report_trouble()
    assert circuit.rest_left() == timedelta(seconds=5)


def test_one_mail_that_is_refused_at_mail_does_not_stop_the_others() -> None:
    circuit = Circuit(Time(), first_rest=timedelta(seconds=5), factor=3)
    circuit.report_mail_refused()
    circuit.report_well()
    circuit.report_mail_refused()
    circuit.report_mail_refused()
    assert not circuit.rest_left()
    circuit.report_mail_refused()
    assert circuit.rest_left()


async def test_a_sweep_goes_on_while_there_is_more_but_not_for_ever() -> None:
    runs = []

    async def sweep() -> bool:
        runs.append(1)
        return True

    await run_once(Sweep("endless", sweep))
    assert len(runs) == MOST_ROUNDS


async def test_a_sweep_that_breaks_is_survived() -> None:
    async def sweep() -> bool:
        raise RuntimeError("broken")

    await run_once(Sweep("broken", sweep))


def test_a_paced_domain_gets_so_many_mails_a_minute_and_others_are_free() -> None:
    now = [100.0]
    pace = Pace(PaceRules(per_minute=60, domains={"slow.test": 6, "free.test": 0}), ticks=lambda: now[0])
    ids = [uuid4() for _ in range(3)]
    assert [pace.seconds_until(one, "some.test") for one in ids] == [0, 1, 2]
    assert [pace.seconds_until(one, "slow.test") for one in (uuid4(), uuid4())] == [0, 10]
    assert [pace.seconds_until(uuid4(), "free.test") for _ in range(3)] == [0, 0, 0]
    now[0] += 1
    assert [pace.seconds_until(one, "some.test") for one in ids[1:]] == [0, 1]  # each at its own moment
    now[0] += 1
    assert pace.seconds_until(ids[2], "some.test") == 0


def test_nobody_waits_without_a_pace() -> None:
    pace = Pace(PaceRules())
    assert all(pace.seconds_until(uuid4(), "some.test") == 0 for _ in range(100))
