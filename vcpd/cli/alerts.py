"""`vcpd alerts`: what was told; `vcpd alerts test`: whether every channel works."""

import argparse
import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from vcpd.alerts.channel import Channel
from vcpd.alerts.deliverer import Line, Plan
from vcpd.alerts.message import compose
from vcpd.app.channels import Channels, find_alert_secrets
from vcpd.cli.asking import daemon_client
from vcpd.cli.configuration import zone_name
from vcpd.cli.output import local_text, print_json, print_table
from vcpd.cli.quiet import quiet_logs
from vcpd.cli.stored import state_folder
from vcpd.cli.verbs import EXIT_FAILED, EXIT_OK, configuration_path
from vcpd.config import Loaded, load
from vcpd.domain.alerts import Alert, AlertKind
from vcpd.domain.errors import BadInputError, VcpdError
from vcpd.domain.nse_sessions import NSE
from vcpd.runtime.clock import WallClock

SHOWN: Final = 20
HOW_TO: Final = "set one up below [alerts] in the configuration, see docs/alerts.md"


class Trial(msgspec.Struct, frozen=True):
    """What a channel made of a test."""

    channel: str
    good: bool
    text: str
    took_ms: float


def list_alerts(arguments: argparse.Namespace) -> int:
    """The daemon's latest alerts, newest first."""
    items = daemon_client(arguments).get("/api/alerts", limit=arguments.limit or SHOWN)["items"]
    if arguments.json:
        print_json(items)
    else:
        zone = ZoneInfo(zone_name(arguments))
        rows = [_row(item, zone) for item in items]
        print_table(f"{len(items)} alerts, times in {zone.key}", ("told", "kind", "about", "channels"), rows)
    return EXIT_OK


def try_channels(arguments: argparse.Namespace) -> int:
    """Send a test through every channel, or the named one. BadInputError where there is none."""
    quiet_logs()
    trials = asyncio.run(_try_all(load(configuration_path(arguments)), arguments.channel))
    if arguments.json:
        print_json(trials)
    else:
        for trial in trials:
            sign = "good" if trial.good else "BAD "
            print(f"{sign}  {trial.channel:<12} {trial.text} ({trial.took_ms:,.0f} ms)")
    return EXIT_OK if all(trial.good for trial in trials) else EXIT_FAILED


async def _try_all(loaded: Loaded, wanted: str | None) -> Sequence[Trial]:
    settings = loaded.configuration.alerts
    zone = loaded.configuration.schedule.calendar(NSE).zone
    channels = Channels.open(WallClock())
    try:
        plan = channels.plan(settings, zone, find_alert_secrets(state_folder(loaded)))
        lines = _chosen(plan, wanted)
        return await asyncio.gather(*(_try(line.channel, plan) for line in lines))
    finally:
        await channels.close()


def _chosen(plan: Plan, wanted: str | None) -> list[Line]:
    """Channels that are on, or were begun and lack something."""
    begun = [line for line in plan.lines if not line.channel.is_noop or line.channel.missing]
    chosen = [line for line in begun if wanted in {None, line.channel.name}]
    if chosen:
        return chosen
    if wanted is None:
        raise BadInputError(f"no channel is configured: {HOW_TO}")
    names = ", ".join(line.channel.name for line in begun) or "none"
    raise BadInputError(f"{wanted}: no such channel is configured (there is: {names}); {HOW_TO}")


async def _try(channel: Channel, plan: Plan) -> Trial:
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
    return Trial(channel.name, good, text, 1_000 * (time.perf_counter() - began_s))


def _row(item: Mapping[str, Any], zone: ZoneInfo) -> tuple[str, ...]:
    alert = item["alert"]
    about = [alert["symbol"], alert["session"], alert["facts"].get("headline")]
    return (
        local_text(item["told_at"], zone),
        alert["kind"],
        " ".join(part for part in about if part),
        "; ".join(_way_text(way) for way in item["deliveries"]) or "no channel wants it",
    )


def _way_text(way: Mapping[str, Any]) -> str:
    if way["delivered_at"]:
        return f"{way['channel']} sent"
    if way["given_up_at"]:
        return f"{way['channel']} given up: {way['reason']}"
    tries = f" after {way['attempts']} tries: {way['reason']}" if way["attempts"] else ""
    return f"{way['channel']} waits{tries}"
