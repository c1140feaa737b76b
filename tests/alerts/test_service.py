"""The deliverer on virtual time: what goes out when, and what becomes of troubles."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

from tests.alerts.samples import EVENING, ZONE, FakeChannel, alert, digest
from tests.fakes.outbox import FakeOutbox
from tests.schedule.virtual_time import LoopClock, run_virtually
from vcpd.alerts.service import AlertService, ChannelBinding, ChannelPlan
from vcpd.alerts.settings import DEADMAN_CHANNEL_SETTINGS, AlertSettings, ChannelSettings, TelegramSettings
from vcpd.core.errors import PermanentError, RetryableError
from vcpd.domain.alerts import Alert, AlertKind

SETTINGS = AlertSettings(backoff_s=10.0, backoff_max_s=60.0, expire_after_h=2.0)
NIGHT = AlertSettings(quiet_from="22:00", quiet_to="07:00")
AT_NIGHT = datetime(2026, 4, 8, 20, 0, tzinfo=UTC)  # 01:30 in the exchange's time
MORNING = datetime(2026, 4, 9, 1, 30, tzinfo=UTC)  # 07:00


def virtually(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """The test in a loop whose time costs nothing."""

    @wraps(test)
    def run() -> None:
        run_virtually(test())

    return run


class Scene:
    """A deliverer at work with one channel."""

    def __init__(self, clock: LoopClock, settings: AlertSettings, choice: ChannelSettings) -> None:
        self.clock = clock
        self.outbox = FakeOutbox()
        self.channel = FakeChannel(clock)
        self.leading = True
        self.drawn: list[Alert] = []
        self.crash: Exception | None = None
        plan = ChannelPlan(settings, ZONE, (ChannelBinding(self.channel, choice),))
        self.deliverer = AlertService(plan, self.outbox, clock, lambda: self.leading, self._draw)

    async def _draw(self, entry: Alert) -> bytes | None:
        self.drawn.append(entry)
        if self.crash is not None:
            raise self.crash
        return b"picture"

    async def until(self, condition: Callable[[], bool], most_s: float = 100_000.0) -> None:
        """Let time go by until the condition holds; fails when it never does."""
        end_s = self.clock.monotonic_s() + most_s
        while not condition():
            assert self.clock.monotonic_s() < end_s, "it never came true"
            await asyncio.sleep(min(5.0, most_s / 100))

    def apply_plan(self, settings: AlertSettings, choice: ChannelSettings) -> None:
        self.deliverer.apply_plan(ChannelPlan(settings, ZONE, (ChannelBinding(self.channel, choice),)))


@asynccontextmanager
async def at_work(
    start: datetime = EVENING,
    settings: AlertSettings = SETTINGS,
    choice: ChannelSettings | None = None,
) -> AsyncIterator[Scene]:
    scene = Scene(LoopClock(start), settings, choice or ChannelSettings())
    work = asyncio.create_task(scene.deliverer.run(), name="delivery")
    try:
        yield scene
    finally:
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work


@virtually
async def test_an_alert_goes_out_at_once_and_once() -> None:
    async with at_work() as scene:
        assert await scene.deliverer.publish([alert("AAA")]) == 1
        assert await scene.deliverer.publish([alert("AAA")]) == 0
        await scene.until(lambda: bool(scene.channel.sent), 1.0)
        await asyncio.sleep(3_600)
        assert scene.channel.titles == ["AAA breaks out over 100.00"]
        assert scene.deliverer.sent["fake", "sent"] == 1


@virtually
async def test_the_same_key_twice_in_one_breath_is_one_alert() -> None:
    async with at_work() as scene:
        assert await scene.deliverer.publish([alert("AAA"), alert("AAA"), alert("BBB")]) == 2
        assert await scene.deliverer.publish([]) == 0


@virtually
async def test_a_temporary_error_is_tried_again_with_growing_pauses_up_to_the_cap() -> None:
    async with at_work() as scene:
        scene.channel.problems = [RetryableError("away") for _ in range(6)]
        await scene.deliverer.publish([alert()])
        await scene.until(lambda: bool(scene.channel.sent))
        assert scene.channel.attempts == 7
        (took,) = scene.channel.after(EVENING)
        assert (
            timedelta(seconds=10 + 20 + 40 + 3 * 60) / 2 <= took <= timedelta(seconds=10 + 20 + 40 + 3 * 61)
        )


@virtually
async def test_a_server_that_names_a_pause_gets_it_for_all_that_waits() -> None:
    async with at_work() as scene:
        scene.channel.problems = [RetryableError("slowly", retry_after_s=300.0)]
        await scene.deliverer.publish([alert("AAA"), alert("BBB"), alert("CCC")])
        await scene.until(lambda: len(scene.channel.sent) == 3)
        assert scene.channel.attempts == 4
        assert min(scene.channel.after(EVENING)) >= timedelta(seconds=300)


@virtually
async def test_permanent_error_is_given_up_with_its_reason_and_stops_no_other() -> None:
    async with at_work() as scene:
        scene.channel.problems = [PermanentError("it answers 401")]
        await scene.deliverer.publish([alert("AAA"), alert("BBB")])
        await scene.until(lambda: bool(scene.channel.sent))
        assert scene.channel.titles == ["BBB breaks out over 100.00"]
        assert scene.outbox.deliveries[1, "fake"].reason == "it answers 401"
        assert scene.deliverer.sent["fake", "given_up"] == 1


@virtually
async def test_a_fault_inside_a_channel_loses_no_alert() -> None:
    async with at_work() as scene:
        scene.channel.problems = [ZeroDivisionError()]
        await scene.deliverer.publish([alert()])
        await scene.until(lambda: bool(scene.channel.sent))
        assert scene.channel.attempts == 2


@virtually
async def test_what_arrived_is_not_sent_again_when_the_store_is_away_for_the_acknowledgement() -> None:
    async with at_work() as scene:
        scene.outbox.away = 5
        await scene.deliverer.publish([alert()])
        await scene.until(lambda: scene.outbox.deliveries[1, "fake"].delivered_at is not None)
        await asyncio.sleep(3_600)
        assert scene.channel.attempts == 1


@virtually
async def test_an_alert_that_grew_too_old_is_given_up() -> None:
    async with at_work() as scene:
        scene.channel.problems = [RetryableError("away") for _ in range(10_000)]
        await scene.deliverer.publish([alert()])
        await scene.until(lambda: not scene.outbox.deliveries[1, "fake"].is_open)
        given_up_at = scene.outbox.deliveries[1, "fake"].given_up_at
        assert given_up_at is not None
        assert timedelta(hours=2) <= given_up_at - EVENING <= timedelta(hours=2, minutes=2)
        assert "not sent within 2 h" in scene.outbox.deliveries[1, "fake"].reason


@virtually
async def test_quiet_hours_hold_alerts_back_and_send_them_as_one_in_the_morning() -> None:
    async with at_work(AT_NIGHT, NIGHT) as scene:
        await scene.deliverer.publish([alert(f"S{number}", at=AT_NIGHT) for number in range(20)])
        await scene.until(lambda: bool(scene.channel.sent))
        ((at, message),) = scene.channel.sent
        assert MORNING <= at <= MORNING + timedelta(seconds=5)
        assert message.title == "20 alerts"
        assert message.body.splitlines()[19] == "S19 breaks out over 100.00"


@virtually
async def test_a_few_held_alerts_go_out_one_by_one() -> None:
    async with at_work(AT_NIGHT, NIGHT) as scene:
        await scene.deliverer.publish([alert(f"S{number}", at=AT_NIGHT) for number in range(3)])
        await scene.until(lambda: len(scene.channel.sent) == 3)
        assert all(at >= MORNING for at, _ in scene.channel.sent)


@virtually
async def test_urgent_alerts_pass_quiet_hours_and_provisional_ones_do_not() -> None:
    async with at_work(AT_NIGHT, NIGHT) as scene:
        await scene.deliverer.publish(
            [
                alert("LIVE", at=AT_NIGHT, provisional=True),
                alert("NOW", at=AT_NIGHT, urgent=True),
            ]
        )
        await scene.until(lambda: len(scene.channel.sent) == 2)
        (first_at, first), (second_at, second) = scene.channel.sent
        assert (first.title, first.urgent) == ("NOW breaks out over 100.00", True)
        assert first_at - AT_NIGHT < timedelta(seconds=1)
        assert second.title == "LIVE breaks out over 100.00"
        assert second_at >= MORNING


@virtually
async def test_a_channel_may_have_no_quiet_hours() -> None:
    async with at_work(AT_NIGHT, NIGHT, ChannelSettings(quiet_hours=False)) as scene:
        await scene.deliverer.publish([alert(at=AT_NIGHT)])
        await scene.until(lambda: bool(scene.channel.sent), 2.0)


@virtually
async def test_no_more_messages_a_minute_than_the_user_wants() -> None:
    async with at_work(choice=ChannelSettings(per_minute=3, digest_above=0)) as scene:
        await scene.deliverer.publish([alert(f"S{number}") for number in range(9)])
        await scene.until(lambda: len(scene.channel.sent) == 9)
        times = scene.channel.after(EVENING)
        assert times[2] < timedelta(seconds=1)
        assert times[8] >= timedelta(seconds=119)
        assert scene.channel.titles == [f"S{number} breaks out over 100.00" for number in range(9)]


@virtually
async def test_a_live_alert_does_not_wait_behind_an_ordinary_one() -> None:
    async with at_work() as scene:
        scene.channel.takes_s = 8.0
        await scene.deliverer.publish([alert("SLOW")])
        await scene.until(lambda: scene.channel.attempts == 1, 1.0)
        await scene.deliverer.publish([alert("LIVE", provisional=True, urgent=True)])
        await scene.until(lambda: scene.channel.attempts == 2, 0.2)


@virtually
async def test_a_daemon_that_does_not_lead_delivers_nothing_until_it_leads() -> None:
    async with at_work() as scene:
        scene.leading = False
        await scene.deliverer.publish([alert()])
        await asyncio.sleep(600)
        assert scene.channel.attempts == 0
        scene.leading = True
        await scene.until(lambda: bool(scene.channel.sent), 5.0)


@virtually
async def test_other_settings_hold_from_the_next_alert_on_and_lose_nothing() -> None:
    async with at_work() as scene:
        scene.channel.takes_s = 5.0
        await scene.deliverer.publish([alert("AAA"), alert("BBB")])
        await scene.until(lambda: scene.channel.attempts == 1)
        scene.apply_plan(SETTINGS, ChannelSettings(kinds=(AlertKind.SQUAT,)))
        await scene.deliverer.publish([alert("CCC"), alert("DDD", AlertKind.SQUAT)])
        await scene.until(lambda: len(scene.channel.sent) == 3)
        await asyncio.sleep(600)
        assert sorted(title[:3] for title in scene.channel.titles) == ["AAA", "BBB", "DDD"]
        assert scene.channel.attempts == 3


@virtually
async def test_stopping_in_the_middle_of_sending_lets_it_end_and_notes_it() -> None:
    async with at_work() as scene:
        scene.channel.takes_s = 2.0
        await scene.deliverer.publish([alert()])
        await scene.until(lambda: scene.channel.attempts == 1, 1.0)
    assert len(scene.channel.sent) == 1
    assert scene.outbox.deliveries[1, "fake"].delivered_at is not None


@virtually
async def test_a_digest_brings_its_picture_with_the_rows_that_the_channel_wants() -> None:
    async with at_work(choice=ChannelSettings(min_rating=90)) as scene:
        low, high = digest("AAA", rating=50), digest("BBB", rating=95)
        both = alert("-", AlertKind.SETUPS, items=low.items + high.items, symbol=None)
        await scene.deliverer.publish([both, digest("CCC", rating=10)])
        await scene.until(lambda: bool(scene.channel.sent))
        await asyncio.sleep(60)
        ((_, message),) = scene.channel.sent
        assert message.image == b"picture"
        assert "BBB" in message.body
        assert "AAA" not in message.body
        assert [item["symbol"] for item in scene.drawn[0].items] == ["NSE:BBB"]


@virtually
async def test_only_those_who_ask_for_it_receive_completion_alerts() -> None:
    good_night = alert("-", AlertKind.SESSION_COMPLETE, symbol=None)
    async with at_work() as scene:
        await scene.deliverer.publish([good_night])
        assert not scene.outbox.deliveries
    async with at_work(choice=DEADMAN_CHANNEL_SETTINGS) as scene:
        await scene.deliverer.publish([good_night, alert()])
        await scene.until(lambda: bool(scene.channel.sent))
        assert scene.channel.attempts == 1


@virtually
async def test_a_letter_that_was_found_in_the_store_before_it_was_handed_over_goes_out_once() -> None:
    async with at_work() as scene:
        scene.outbox.answers_after_s = 10.0
        publishing = asyncio.create_task(scene.deliverer.publish([alert(urgent=True)]), name="telling")
        await asyncio.sleep(1)
        scene.apply_plan(SETTINGS, ChannelSettings())  # has its postmen look into the store
        await scene.until(lambda: bool(scene.channel.sent), 5.0)
        assert await publishing == 1
        await asyncio.sleep(600)
        assert scene.channel.attempts == 1


@virtually
async def test_a_handed_letter_waits_for_the_end_of_quiet_hours_like_any_other() -> None:
    async with at_work(AT_NIGHT, NIGHT) as scene:
        await asyncio.sleep(1)
        await scene.deliverer.publish([alert(at=AT_NIGHT, provisional=True)])
        await scene.until(lambda: bool(scene.channel.sent))
        assert scene.channel.sent[0][0] >= MORNING


@virtually
async def test_what_was_handed_to_a_daemon_that_does_not_lead_is_left_to_the_one_that_does() -> None:
    async with at_work() as scene:
        scene.leading = False
        await asyncio.sleep(10)
        await scene.deliverer.publish([alert(urgent=True)])
        await asyncio.sleep(10)
        await scene.outbox.mark_delivered("fake", [1], EVENING)  # by the other one
        scene.leading = True
        await asyncio.sleep(600)
        assert scene.channel.attempts == 0


@virtually
async def test_a_server_that_takes_no_picture_gets_the_words() -> None:
    """An ntfy server of one's own without attachments must not cost the evening's digest."""
    async with at_work(choice=TelegramSettings(chat_id="1")) as scene:
        scene.channel.problems = [PermanentError("it answers 413")]
        await scene.deliverer.publish([digest("AAA")])
        await scene.until(lambda: bool(scene.channel.sent))
        assert [message.image for _, message in scene.channel.sent] == [None]
        assert scene.channel.attempts == 2
        await scene.until(lambda: all(way.delivered_at for way in scene.outbox.deliveries.values()))


@virtually
async def test_what_is_refused_without_a_picture_too_is_given_up() -> None:
    async with at_work(choice=TelegramSettings(chat_id="1")) as scene:
        scene.channel.problems = [PermanentError("it answers 401")] * 2
        await scene.deliverer.publish([digest("AAA")])
        await scene.until(lambda: all(way.given_up_at for way in scene.outbox.deliveries.values()))
        assert scene.channel.attempts == 2


@virtually
async def test_a_drawing_that_crashes_keeps_no_alert_back() -> None:
    async with at_work(choice=TelegramSettings(chat_id="1")) as scene:
        scene.crash = ValueError("a chart without bars")
        await scene.deliverer.publish([digest("AAA")])
        await scene.until(lambda: bool(scene.channel.sent))
        assert scene.channel.sent[0][1].image is None
        assert scene.channel.attempts == 1
