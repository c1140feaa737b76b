"""Outbox: alerts are kept once and delivered until done."""

from datetime import timedelta

from tests.alerts.samples import EVENING, alert, digest
from vcpd.domain.alerts import AlertKind, PendingDelivery
from vcpd.ports import Outbox

MINUTE = timedelta(minutes=1)


async def _due(outbox: Outbox, channel: str = "mail", *, prompt: bool = False) -> list[PendingDelivery]:
    return list(await outbox.due(channel, EVENING, 100, prompt=prompt))


async def test_an_alert_comes_back_as_it_was_reported(outbox: Outbox) -> None:
    reported = [alert("AAA", facts={"a": 1, "b": 2.5, "c": None, "d": "x"}), digest("BBB", "CCC")]
    assert len(await outbox.add(reported, {entry.key: ["mail"] for entry in reported}, EVENING)) == 2
    first, second = await _due(outbox)
    assert first.alert.facts == {"a": 1, "b": 2.5, "c": None, "d": "x"}
    assert second.alert == reported[1]
    assert (first.attempts, first.id < second.id) == (0, True)


async def test_a_key_is_reported_once_whatever_else_changes(outbox: Outbox) -> None:
    assert len(await outbox.add([alert()], {alert().key: ["mail"]}, EVENING)) == 1
    again = alert(facts={"pivot": 7.0})
    assert len(await outbox.add([again, alert("BBB")], {again.key: ["mail", "ntfy"]}, EVENING)) == 1
    assert [letter.alert for letter in await _due(outbox)] == [alert()]
    assert await _due(outbox, "ntfy") == []


async def test_an_alert_that_no_channel_wants_is_remembered_all_the_same(outbox: Outbox) -> None:
    assert len(await outbox.add([alert()], {}, EVENING)) == 1
    assert len(await outbox.add([alert()], {alert().key: ["mail"]}, EVENING)) == 0
    assert [entry.deliveries for entry in await outbox.recent(5)] == [()]


async def test_prompt_letters_are_the_urgent_and_the_provisional_ones(outbox: Outbox) -> None:
    reported = [alert("PLAIN"), alert("URGENT", urgent=True), alert("LIVE", provisional=True)]
    await outbox.add(reported, {entry.key: ["mail"] for entry in reported}, EVENING)
    assert [letter.alert.symbol for letter in await _due(outbox)] == ["NSE:PLAIN"]
    assert [letter.alert.symbol for letter in await _due(outbox, prompt=True)] == ["NSE:URGENT", "NSE:LIVE"]
    only = await outbox.due("mail", EVENING, 9, prompt=True, urgent_only=True)
    assert [letter.alert.symbol for letter in only] == ["NSE:URGENT"]


async def test_a_delivery_ends_delivered_or_given_up_and_stays_so(outbox: Outbox) -> None:
    reported = [alert("AAA"), alert("BBB")]
    await outbox.add(reported, {entry.key: ["mail", "ntfy"] for entry in reported}, EVENING)
    first, second = [letter.id for letter in await _due(outbox)]
    await outbox.mark_delivered("mail", [first], EVENING)
    await outbox.give_up("mail", [first, second], EVENING, "it answers 410")
    await outbox.reschedule("mail", [first, second], EVENING, "never")
    assert await _due(outbox) == []
    assert len(await _due(outbox, "ntfy")) == 2
    newest, oldest = await outbox.recent(10)
    assert [(way.channel, way.reason, way.attempts) for way in newest.deliveries] == [
        ("mail", "it answers 410", 1),
        ("ntfy", "", 0),
    ]
    assert oldest.deliveries[0].delivered_at == EVENING
    assert oldest.deliveries[0].given_up_at is None


async def test_what_is_put_off_waits_and_says_until_when(outbox: Outbox) -> None:
    await outbox.add([alert()], {alert().key: ["mail"]}, EVENING)
    (letter,) = await _due(outbox)
    await outbox.reschedule("mail", [letter.id], EVENING + MINUTE, "no answer within 10 s")
    assert await _due(outbox) == []
    assert await outbox.next_due("mail", prompt=False) == EVENING + MINUTE
    assert await outbox.next_due("mail", prompt=True) is None
    (later,) = await outbox.due("mail", EVENING + MINUTE, 5, prompt=False)
    assert later.attempts == 1


async def test_old_alerts_expire_with_the_last_error_beside_the_reason(outbox: Outbox) -> None:
    reported = [alert("OLD", at=EVENING - 60 * MINUTE), alert("NEW")]
    await outbox.add(reported, {entry.key: ["mail"] for entry in reported}, EVENING)
    (old, _) = await _due(outbox)
    await outbox.reschedule("mail", [old.id], EVENING, "no answer")
    assert await outbox.expire(EVENING - MINUTE, EVENING, "not sent within 1 h") == 1
    assert [letter.alert.symbol for letter in await _due(outbox)] == ["NSE:NEW"]
    _, given_up = await outbox.recent(2)
    assert given_up.deliveries[0].reason == "not sent within 1 h: no answer"
    counts = await outbox.counts(EVENING - MINUTE)
    assert (counts.pending, counts.given_up) == (1, 1)
    assert (await outbox.counts(EVENING + MINUTE)).given_up == 0


async def test_only_settled_alerts_are_ever_forgotten(outbox: Outbox) -> None:
    reported = [alert("DONE"), alert("OPEN")]
    await outbox.add(reported, {entry.key: ["mail"] for entry in reported}, EVENING)
    done, _ = await _due(outbox)
    await outbox.mark_delivered("mail", [done.id], EVENING)
    assert await outbox.delete_before(EVENING) == 0
    assert await outbox.delete_before(EVENING + MINUTE) == 1
    assert [entry.alert.symbol for entry in await outbox.recent(9)] == ["NSE:OPEN"]


async def test_recent_alerts_can_be_asked_for_by_kind(outbox: Outbox) -> None:
    reported = [digest("AAA"), alert("BBB")]
    await outbox.add(reported, {}, EVENING)
    assert [entry.alert.kind for entry in await outbox.recent(9, AlertKind.SETUPS)] == [AlertKind.SETUPS]
    assert [entry.alert.symbol for entry in await outbox.recent(1)] == ["NSE:BBB"]


async def test_a_latch_keeps_its_first_instant_until_it_is_released(outbox: Outbox) -> None:
    assert await outbox.latch("low", EVENING) == EVENING
    assert await outbox.latch("low", EVENING + MINUTE) == EVENING
    await outbox.unlatch("low")
    assert await outbox.latch("low", EVENING + 2 * MINUTE) == EVENING + 2 * MINUTE
