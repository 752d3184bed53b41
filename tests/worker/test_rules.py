"""Retry, concurrency, circuit breaker and rate limit rules, without a network."""

from datetime import timedelta
from uuid import uuid4

import pytest

from latchstring.domain.clock import system_clock
from latchstring.domain.ids import new_id
from latchstring.domain.mail import DeliveryState, MailKind
from latchstring.domain.settings import PaceRules, RetryRules
from latchstring.mail.senders import DeliveryResult, SendAttempt
from latchstring.mail.smtp.circuit_breaker import MAX_COOLDOWN, Circuit
from latchstring.mail.smtp.concurrency import MAX_IN_FLIGHT, MAX_SENDING, MAX_SENDING_PER_DOMAIN, DomainBusy, Slots
from latchstring.mail.smtp.pacing import Pace
from latchstring.storage.outbox.outbox import OutboxRow
from latchstring.worker.mail import get_retry_pause, plan_delivery
from latchstring.worker.sweeps import MAX_BATCHES, Sweep, run_once

RULES = RetryRules(first=timedelta(seconds=5), factor=3, maximum=timedelta(hours=1), give_up=timedelta(days=2))


def new_row(*, attempts: int = 0, age: timedelta = timedelta(0)) -> OutboxRow:
    created_at = system_clock() - age
    return OutboxRow(new_id(created_at), MailKind.INVITATION, uuid4(), 1, None, DeliveryState.QUEUED, attempts)


def test_the_first_pause_is_near_its_setting() -> None:
    pauses = [get_retry_pause(RULES, 1).total_seconds() for _ in range(200)]
    assert 4 <= min(pauses) < max(pauses) <= 5


def test_pauses_grow_to_the_longest_and_differ() -> None:
    assert 7.5 <= get_retry_pause(RULES, 2).total_seconds() <= 15
    late = {get_retry_pause(RULES, 40).total_seconds() for _ in range(50)}
    assert all(1800 <= pause <= 3600 for pause in late)
    assert len(late) > 40


def test_a_mail_too_old_for_another_attempt_fails() -> None:
    delivery, again_at = plan_delivery(
        SendAttempt(DeliveryResult.TEMPORARY_FAILURE, "451 later"),
        new_row(age=timedelta(days=2)),
        RULES,
        system_clock(),
    )
    assert (delivery.state, delivery.last_reply, again_at) == (DeliveryState.FAILED, "451 later", None)


def test_after_an_installation_problem_the_pause_is_short() -> None:
    now = system_clock()
    delivery, again_at = plan_delivery(
        SendAttempt(DeliveryResult.SERVER_ERROR, "535 no"), new_row(attempts=12), RULES, now
    )
    assert delivery.state is DeliveryState.DEFERRED
    assert again_at is not None
    assert again_at - now <= MAX_COOLDOWN


@pytest.mark.parametrize(
    ("result", "state"),
    [
        (DeliveryResult.ACCEPTED, DeliveryState.SENT),
        (DeliveryResult.NO_RECIPIENT, DeliveryState.BOUNCED),
        (DeliveryResult.REFUSED, DeliveryState.FAILED),
        (DeliveryResult.OFF, DeliveryState.SUPPRESSED),
    ],
)
def test_final_results_are_not_retried(result: DeliveryResult, state: DeliveryState) -> None:
    delivery, again_at = plan_delivery(SendAttempt(result, "reply"), new_row(), RULES, system_clock())
    assert (delivery.state, again_at) == (state, None)


def test_no_domain_gets_every_slot() -> None:
    slots = Slots()
    ids = [uuid4() for _ in range(MAX_SENDING)]
    for mail_id in ids:
        slots.begin(mail_id)
    for mail_id in ids[:MAX_SENDING_PER_DOMAIN]:
        slots.assign_domain(mail_id, "big.test")
    with pytest.raises(DomainBusy):
        slots.assign_domain(ids[-1], "big.test")
    slots.assign_domain(ids[-1], "small.test")


def test_a_waiting_mail_frees_its_sending_slot() -> None:
    slots = Slots()
    for number in range(MAX_IN_FLIGHT):
        assert slots.free() > 0, number
        mail_id = uuid4()
        slots.begin(mail_id)
        slots.assign_domain(mail_id, f"d{number}.test")
        slots.begin_waiting(mail_id)
    assert slots.free() == 0


def test_a_deferring_domain_gets_one_mail_at_a_time_until_it_accepts_one() -> None:
    slots = Slots()
    first, second, third = uuid4(), uuid4(), uuid4()
    slots.begin(first)
    slots.assign_domain(first, "slow.test")
    slots.end(first, was_deferred=True)
    slots.begin(second)
    slots.begin(third)
    slots.assign_domain(second, "slow.test")
    with pytest.raises(DomainBusy):
        slots.assign_domain(third, "slow.test")
    slots.end(second, was_deferred=False)
    slots.assign_domain(third, "slow.test")


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_failures_open_the_circuit_for_a_growing_cooldown_then_one_probe() -> None:
    time = Time()
    circuit = Circuit(time, first_cooldown=timedelta(seconds=5), factor=3)
    cooldowns = []
    for _ in range(5):
        circuit.report_failure()
        cooldowns.append(circuit.cooldown_left().total_seconds())
        time.now += cooldowns[-1]
        assert circuit.is_probing
        assert not circuit.cooldown_left()
    assert cooldowns == [5, 15, 30, 30, 30]
    circuit.report_success()
    assert not circuit.is_probing


def test_concurrent_failures_count_once() -> None:
    circuit = Circuit(Time(), first_cooldown=timedelta(seconds=5), factor=3)
    for _ in range(10):
        circuit.report_failure()
    assert circuit.cooldown_left() == timedelta(seconds=5)


def test_one_refused_mail_command_does_not_open_the_circuit() -> None:
    circuit = Circuit(Time(), first_cooldown=timedelta(seconds=5), factor=3)
    circuit.report_mail_refused()
    circuit.report_success()
    circuit.report_mail_refused()
    circuit.report_mail_refused()
    assert not circuit.cooldown_left()
    circuit.report_mail_refused()
    assert circuit.cooldown_left()


async def test_a_sweep_runs_a_limited_number_of_batches() -> None:
    runs = []

    async def sweep() -> bool:
        runs.append(1)
        return True

    await run_once(Sweep("endless", sweep))
    assert len(runs) == MAX_BATCHES


async def test_an_error_in_a_sweep_is_caught() -> None:
    async def sweep() -> bool:
        raise RuntimeError("broken")

    await run_once(Sweep("broken", sweep))


def test_the_rate_limit_applies_per_domain() -> None:
    now = [100.0]
    pace = Pace(PaceRules(per_minute=60, domains={"slow.test": 6, "free.test": 0}), ticks=lambda: now[0])
    ids = [uuid4() for _ in range(3)]
    assert [pace.seconds_until(mail_id, "some.test") for mail_id in ids] == [0, 1, 2]
    assert [pace.seconds_until(mail_id, "slow.test") for mail_id in (uuid4(), uuid4())] == [0, 10]
    assert [pace.seconds_until(uuid4(), "free.test") for _ in range(3)] == [0, 0, 0]
    now[0] += 1
    assert [pace.seconds_until(mail_id, "some.test") for mail_id in ids[1:]] == [0, 1]  # each mail at its assigned time
    now[0] += 1
    assert pace.seconds_until(ids[2], "some.test") == 0


def test_there_is_no_wait_without_a_rate_limit() -> None:
    pace = Pace(PaceRules())
    assert all(pace.seconds_until(uuid4(), "some.test") == 0 for _ in range(100))
