"""Markets and channels of other distributions: found by their metadata, no file of the project edited."""

import asyncio
import importlib
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import EntryPoints, entry_points
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.jobs.test_watch import at_work, until
from vcpd import plugins
from vcpd.alerts.settings import BUILT_IN_CHANNELS, AlertSettings
from vcpd.alerts.templates import AlertMessage
from vcpd.app.alert_channels import ChannelFactory, alert_secret_names, find_alert_secrets
from vcpd.app.market import open_market
from vcpd.cli.config import config_markdown, config_toml
from vcpd.config import Configuration, load_configuration
from vcpd.core.errors import ConfigurationError
from vcpd.domain.live import FeedState
from vcpd.plugins import CHANNEL_GROUP, MARKET_GROUP, PROJECT_FILE, load_plugin, plugin_names
from vcpd.runtime.clock import WallClock

TOY = '''
import asyncio
import dataclasses
import aiohttp
import msgspec
import numpy
from vcpd.alerts.channels.base import ChannelPlugin
from vcpd.alerts.settings import ChannelSettings
from vcpd.app.market import MarketConnection
from vcpd.bhavcopy.client import NoLoginSession
from vcpd.domain.exchange import NSE_EXCHANGE, Currency
from vcpd.domain.instruments import Instrument
from vcpd.domain.live import FeedState, FeedStatus, LivePrices
from vcpd.plugins import MarketPlugin

EXCHANGE = dataclasses.replace(
    NSE_EXCHANGE, name="TOY", zone_name="TST", currency=Currency("XTS", "T", "toys", "en-GB")
)

class ToySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A toy market."""
    symbols: tuple[str, ...] = ("BALL",)

class ToyClient:
    def __init__(self, symbols):
        self.symbols = symbols
    async def instruments(self):
        return [Instrument(EXCHANGE.full_symbol(name), 1 + n) for n, name in enumerate(self.symbols)]
    async def daily_bars(self, instrument, first, last):
        raise NotImplementedError
    async def quotes(self, symbols):
        return {}

class ToyFeed:
    def __init__(self):
        self.tokens = ()
    def subscribe(self, tokens):
        self.tokens = tuple(tokens)
    def reconnect(self):
        pass
    async def run(self, deliver):
        while True:
            if self.tokens:
                price = numpy.array([101.5])
                traded_at = numpy.array(["2026-04-08T05:00"], "M8[s]")
                tokens = numpy.array(self.tokens[:1])
                deliver(LivePrices(tokens, price, numpy.array([9e9]), numpy.array([99.0]), traded_at))
            await asyncio.sleep(0)
    def status(self):
        return FeedStatus(state=FeedState.LIVE, connections=1, instruments=len(self.tokens))

RELOADED = []

async def open_toy(request):
    return MarketConnection(
        ToyClient(request.settings.symbols),
        NoLoginSession(),
        aiohttp.ClientSession(),
        live=ToyFeed(),
        reconfigure=RELOADED.append,
    )

MARKET = MarketPlugin(EXCHANGE, open_toy, ToySettings, {"watch": {"enabled": False}})

class BellSettings(ChannelSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A toy channel."""
    loudness: int = 0

RUNG = []

class BellChannel:
    name = "bell"
    missing = None
    def __init__(self, request):
        self.request = request
    @property
    def is_noop(self):
        return not self.request.settings.loudness
    async def send(self, message):
        RUNG.append((message.title, self.request.settings.loudness, self.request.secrets["bell_key"]))

CHANNEL = ChannelPlugin(BellSettings, lambda request: (BellChannel(request),), ("bell_key",))
NOT_A_MARKET = object()
'''
ENTRY_POINTS = """
[vcpd.markets]
toy = vcpd_toy:MARKET
broken = vcpd_toy_missing:MARKET
wrong = vcpd_toy:NOT_A_MARKET

[vcpd.channels]
bell = vcpd_toy:CHANNEL
"""


@pytest.fixture
def installed_toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A distribution with a market and a channel, as an installer would lay it down."""
    folder = tmp_path / "site-packages"
    metadata = folder / "vcpd_toy-1.0.dist-info"
    metadata.mkdir(parents=True)
    (folder / "vcpd_toy.py").write_text(TOY)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: vcpd-toy\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(dedent(ENTRY_POINTS))
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    yield importlib.import_module("vcpd_toy")
    sys.modules.pop("vcpd_toy", None)


def _write(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def _problems(folder: Path, text: str, environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        load_configuration(_write(folder, text), environment or {})
    return list(raised.value.problems)


def test_the_projects_own_plugins_are_declared_in_its_metadata() -> None:
    assert PROJECT_FILE.is_file()
    assert plugin_names(MARKET_GROUP) == ("bhavcopy", "kite", "sandbox")
    assert plugin_names(CHANNEL_GROUP) == BUILT_IN_CHANNELS
    assert set(BUILT_IN_CHANNELS) < set(AlertSettings.__struct_fields__)
    for group in (MARKET_GROUP, CHANNEL_GROUP):
        for name in plugin_names(group):
            assert load_plugin(group, name) is not None


async def test_an_installed_market_is_opened_with_its_own_settings(
    installed_toy: Any, tmp_path: Path
) -> None:
    path = _write(tmp_path, '[daemon]\nmarket = "toy"\n[markets.toy]\nsymbols = ["ball", "doll"]\n')
    loaded = load_configuration(path, {})
    assert loaded.configuration.exchange.name == "TOY"
    assert not loaded.configuration.jobs["watch"].enabled
    market = await open_market(loaded, WallClock(), tmp_path, asyncio.to_thread)
    try:
        assert [instrument.symbol for instrument in await market.client.instruments()] == [
            "TOY:BALL",
            "TOY:DOLL",
        ]
        assert not market.is_simulated
        assert not market.session.status().login_due
    finally:
        await market.close()


async def test_an_installed_market_brings_its_own_live_feed(installed_toy: Any, tmp_path: Path) -> None:
    """The live watch follows a base through the plug-in's feed, and reports its breakout."""
    loaded = load_configuration(_write(tmp_path, '[daemon]\nmarket = "toy"\n'), {})
    market = await open_market(loaded, WallClock(), tmp_path, asyncio.to_thread)
    try:
        async with at_work(feed=market.live) as watched:
            await until(lambda: bool(watched.notifier.published))
            status = watched.watch.status()
        assert (status.source, status.feed.state, status.events) == ("ticker", FeedState.LIVE, 1)
    finally:
        await market.close()
    market.reconfigure(loaded.configuration)
    assert [loaded.configuration] == installed_toy.RELOADED


async def test_a_market_without_a_table_has_its_defaults(installed_toy: Any, tmp_path: Path) -> None:
    loaded = load_configuration(_write(tmp_path, '[daemon]\nmarket = "toy"\n'), {})
    market = await open_market(loaded, WallClock(), tmp_path, asyncio.to_thread)
    try:
        assert [instrument.symbol for instrument in await market.client.instruments()] == ["TOY:BALL"]
    finally:
        await market.close()


async def test_an_installed_channel_sends_with_its_own_settings_and_secret(
    installed_toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VCPD_BELL_KEY", "ding")
    path = _write(tmp_path, '[alerts.channels.bell]\nloudness = 3\nkinds = ["breakout"]\n')
    configuration = load_configuration(path, {}).configuration
    channels = ChannelFactory.open(WallClock())
    try:
        plan = channels.plan(configuration.alerts, configuration.exchange.zone, find_alert_secrets(tmp_path))
        (bell,) = [binding for binding in plan.active_bindings if binding.channel.name == "bell"]
        assert [kind.value for kind in bell.settings.kinds] == ["breakout"]
        await bell.channel.send(AlertMessage(key="0" * 32, at=datetime.now(UTC), title="hello", body=""))
    finally:
        await channels.close()
    ((title, loudness, key),) = installed_toy.RUNG
    assert (title, loudness, key.reveal()) == ("hello", 3, "ding")
    assert "bell_key" in alert_secret_names()


async def test_a_channel_without_a_table_is_there_and_off(installed_toy: Any, tmp_path: Path) -> None:
    configuration = load_configuration(_write(tmp_path, ""), {}).configuration
    channels = ChannelFactory.open(WallClock())
    try:
        plan = channels.plan(configuration.alerts, configuration.exchange.zone, find_alert_secrets(tmp_path))
    finally:
        await channels.close()
    assert "bell" in {binding.channel.name for binding in plan.bindings}
    assert "bell" not in {binding.channel.name for binding in plan.active_bindings}


def test_settings_of_a_plugin_are_checked_by_its_own_struct(installed_toy: Any, tmp_path: Path) -> None:
    assert _problems(tmp_path, "[markets.toy]\nsymbls = []\n") == [
        "markets.toy.symbls: unknown key; did you mean `symbols`?"
    ]
    assert _problems(tmp_path, '[alerts.channels.bell]\nloudness = "very"\n') == [
        "alerts.channels.bell.loudness: expected `int`, got `str`, was 'very'"
    ]


def test_the_environment_sets_a_plugins_settings(installed_toy: Any, tmp_path: Path) -> None:
    loaded = load_configuration(
        _write(tmp_path, ""),
        {"VCPD_MARKETS__TOY__SYMBOLS": "top,car", "VCPD_ALERTS__CHANNELS__BELL__LOUDNESS": "5"},
    )
    assert loaded.configuration.markets["toy"].symbols == ("top", "car")
    assert loaded.configuration.alerts.channels["bell"].loudness == 5
    assert _problems(tmp_path, "", {"VCPD_MARKETS__TOY__NOTHING": "1"})


def test_unknown_names_are_answered_with_the_known_ones(installed_toy: Any, tmp_path: Path) -> None:
    assert _problems(tmp_path, '[daemon]\nmarket = "moon"\n') == [
        "daemon.market: expected one of bhavcopy, broken, kite, sandbox, toy, wrong, was 'moon'"
    ]
    (problem,) = _problems(tmp_path, "[alerts.channels.gong]\n")
    assert problem == "alerts.channels.gong: no such channel; expected one of bell"
    (problem,) = _problems(tmp_path, "[alerts.channels.telegram]\n")
    assert problem == "alerts.channels.telegram: no such channel; expected one of bell"


def test_a_plugin_that_cannot_be_loaded_is_named(installed_toy: Any, tmp_path: Path) -> None:
    (problem,) = _problems(tmp_path, '[daemon]\nmarket = "broken"\n')
    assert problem.startswith("daemon.market: the plug-in `broken` of vcpd.markets cannot be loaded: ")
    assert "vcpd_toy_missing" in problem
    (problem,) = _problems(tmp_path, '[daemon]\nmarket = "wrong"\n')
    assert problem.endswith("expected a MarketPlugin, was object")


def test_a_plugins_settings_are_shown_as_they_would_be_written(installed_toy: Any, tmp_path: Path) -> None:
    text = '[markets.toy]\nsymbols = ["top"]\n[alerts.channels.bell]\nloudness = 2\n'
    configuration = load_configuration(_write(tmp_path, text), {}).configuration
    again = load_configuration(_write(tmp_path, config_toml(configuration)), {}).configuration
    assert again == configuration
    assert "[markets.NAME]" in config_markdown(Configuration())


def test_another_distribution_does_not_replace_a_market_of_the_project(
    installed_toy: Any, tmp_path: Path
) -> None:
    metadata = tmp_path / "site-packages" / "vcpd_toy-1.0.dist-info" / "entry_points.txt"
    metadata.write_text("[vcpd.markets]\nkite = vcpd_toy:MARKET\n")
    importlib.invalidate_caches()
    assert load_plugin(MARKET_GROUP, "kite") is not installed_toy.MARKET


def test_metadata_is_read_once_until_a_distribution_is_installed(
    installed_toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings: list[str] = []

    def counted(*, group: str) -> EntryPoints:
        readings.append(group)
        return entry_points(group=group)

    monkeypatch.setattr(plugins, "entry_points", counted)
    for _ in range(3):
        assert "toy" in plugin_names(MARKET_GROUP)
    assert readings == [MARKET_GROUP]
    later = tmp_path / "site-packages" / "vcpd_later-1.0.dist-info"
    later.mkdir()
    (later / "METADATA").write_text("Metadata-Version: 2.1\nName: vcpd-later\nVersion: 1.0\n")
    (later / "entry_points.txt").write_text("[vcpd.markets]\nlater = vcpd_toy:MARKET\n")
    os.utime(later.parent, ns=(1, 1))  # any other time than before, whatever the file system's resolution
    assert "later" in plugin_names(MARKET_GROUP)
    assert readings == [MARKET_GROUP, MARKET_GROUP]
