"""`vcpd alerts`: latest alerts; `vcpd alerts test`: sends a test through every channel."""

import argparse
import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from vcpd.alerts.channels.base import Channel
from vcpd.alerts.service import ChannelBinding, ChannelPlan
from vcpd.alerts.templates import compose
from vcpd.app.alert_channels import ChannelFactory, find_alert_secrets
from vcpd.cli.client import daemon_client
from vcpd.cli.command import (
    EXIT_FAILED,
    EXIT_OK,
    add_command,
    add_config_argument,
    add_format_arguments,
    add_json_argument,
    positive_int_argument,
    set_action,
)
from vcpd.cli.config import load_named, time_zone_name
from vcpd.cli.output import local_text, print_data, print_json, print_table
from vcpd.config import LoadedConfiguration
from vcpd.core.errors import BadInputError, VcpdError
from vcpd.domain.alerts import Alert, AlertKind
from vcpd.runtime import logs
from vcpd.runtime.clock import WallClock

DEFAULT_LIMIT: Final = 20
SETUP_HINT: Final = "set one up below [alerts] in the configuration, see docs/alerts.md"


class ChannelTestResult(msgspec.Struct, frozen=True):
    """What a channel made of a test."""

    channel: str
    good: bool
    text: str
    took_ms: float


def add_alerts_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, list_alerts, "vcpd alerts --limit 50\nvcpd alerts test --channel telegram")
    parser.add_argument(
        "--limit", type=positive_int_argument, metavar="N", help="number of alerts; default: 20"
    )
    add_config_argument(parser)
    add_format_arguments(parser)
    nested = parser.add_subparsers(title="actions", metavar="ACTION")
    test = add_command(
        nested,
        "test",
        "send a test message through every channel; exit code 1 if one fails; needs no daemon",
        "vcpd alerts test\nvcpd alerts test --channel mail",
        send_test_alerts,
    )
    test.add_argument("--channel", metavar="NAME", help="only this channel")
    add_config_argument(test, nested=True)
    add_json_argument(test, nested=True)


def list_alerts(arguments: argparse.Namespace) -> int:
    """The daemon's latest alerts, newest first."""
    items = daemon_client(arguments).get("/api/alerts", limit=arguments.limit or DEFAULT_LIMIT)["items"]
    if not print_data(arguments, items, items):
        zone = ZoneInfo(time_zone_name(arguments))
        rows = [_alert_row(item, zone) for item in items]
        print_table(f"{len(items)} alerts, times in {zone.key}", ("time", "kind", "about", "channels"), rows)
    return EXIT_OK


def send_test_alerts(arguments: argparse.Namespace) -> int:
    """Send a test through every channel, or the named one. BadInputError where there is none."""
    logs.configure_quiet()
    trials = asyncio.run(_send_all_tests(load_named(arguments), arguments.channel))
    if arguments.json:
        print_json(trials)
    else:
        for trial in trials:
            sign = "good" if trial.good else "BAD "
            print(f"{sign}  {trial.channel:<12} {trial.text} ({trial.took_ms:,.0f} ms)")
    return EXIT_OK if all(trial.good for trial in trials) else EXIT_FAILED


async def _send_all_tests(loaded: LoadedConfiguration, wanted: str | None) -> Sequence[ChannelTestResult]:
    settings = loaded.configuration.alerts
    zone = loaded.configuration.calendar.zone
    channels = ChannelFactory.open(WallClock())
    try:
        plan = channels.plan(settings, zone, find_alert_secrets(loaded.state_dir))
        lines = _select_channels(plan, wanted)
        return await asyncio.gather(*(_send_test(line.channel, plan) for line in lines))
    finally:
        await channels.close()


def _select_channels(plan: ChannelPlan, wanted: str | None) -> list[ChannelBinding]:
    """Channels that are on, or were begun and lack something."""
    begun = [line for line in plan.bindings if not line.channel.is_noop or line.channel.missing]
    chosen = [line for line in begun if wanted in {None, line.channel.name}]
    if chosen:
        return chosen
    if wanted is None:
        raise BadInputError(f"no channel is configured: {SETUP_HINT}")
    names = ", ".join(line.channel.name for line in begun) or "none"
    raise BadInputError(f"{wanted}: no such channel is configured (configured: {names}); {SETUP_HINT}")


async def _send_test(channel: Channel, plan: ChannelPlan) -> ChannelTestResult:
    began_s = time.perf_counter()
    good, text = False, f"lacks {channel.missing}"
    if channel.missing is None:
        now = WallClock().now()
        alert = Alert(kind=AlertKind.TEST, key=f"test:{now.isoformat()}", at=now)
        try:
            await channel.send(compose([alert], channel.name, plan.settings.templates, plan.zone))
            good, text = True, "sent"
        except VcpdError as error:
            text = str(error)
    return ChannelTestResult(channel.name, good, text, 1_000 * (time.perf_counter() - began_s))


def _alert_row(item: Mapping[str, Any], zone: ZoneInfo) -> tuple[str, ...]:
    alert = item["alert"]
    about = [alert["symbol"], alert["session"], alert["facts"].get("headline")]
    return (
        local_text(item["told_at"], zone),
        alert["kind"],
        " ".join(part for part in about if part),
        "; ".join(_delivery_text(way) for way in item["deliveries"])
        or "no channel accepts alerts of this kind",
    )


def _delivery_text(way: Mapping[str, Any]) -> str:
    if way["delivered_at"]:
        return f"{way['channel']} sent"
    if way["given_up_at"]:
        return f"{way['channel']} given up: {way['reason']}"
    tries = f" after {way['attempts']} attempts: {way['reason']}" if way["attempts"] else ""
    return f"{way['channel']} waits{tries}"
