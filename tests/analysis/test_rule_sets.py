"""Named sets of sell rules: what differs is stated, a wrong threshold is named, each lot has its own set."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from vcpd.analysis.positions import PositionSettings, report_positions
from vcpd.analysis.sell_rules import PositionRuleSettings, SellRuleSettings
from vcpd.config import load_configuration
from vcpd.core.errors import BadInputError, ConfigurationError
from vcpd.domain.bars import BarSeries
from vcpd.domain.portfolio import Lot, LotBook

DAYS = np.arange("2025-01-01", "2025-06-30", dtype="M8[D]")
LAST: date = DAYS[-1].item()
FILE = """
[positions]
breakeven_r = 1.5
[positions.rule_sets.runner]
trail_sessions = 20
strength_r = 0
[positions.rule_sets.swing]
time_sessions = 10
"""


def _loaded(folder: Path, text: str) -> PositionRuleSettings:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return load_configuration(path, {}).configuration.positions


def test_a_set_states_what_differs_from_the_default_one(tmp_path: Path) -> None:
    settings = _loaded(tmp_path, FILE)
    assert settings.names == ("default", "runner", "swing")
    assert settings.default == SellRuleSettings(breakeven_r=1.5)
    assert settings.by_name() == {
        "runner": SellRuleSettings(breakeven_r=1.5, trail_sessions=20, strength_r=0.0),
        "swing": SellRuleSettings(breakeven_r=1.5, time_sessions=10),
    }
    assert settings.check_name("swing") == "swing"
    with pytest.raises(BadInputError, match="expected one of default, runner, swing, was 'swng'"):
        settings.check_name("swng")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[positions.rule_sets.runner]\ntrail_session = 20", "rule_sets.runner: .*trail_session`"),
        ("[positions.rule_sets.runner]\ntrail_sessions = 900", "rule_sets.runner: .*<= 200.*trail_sessions"),
        ("[positions.rule_sets.runner]\ntime_sessions = 2.5", "rule_sets.runner: .*int.*time_sessions"),
        ("[positions.rule_sets.default]\ntime_sessions = 2", "rule_sets.default: expected a name"),
        ("[positions.rule_sets]\nrunner = 2", "positions.rule_sets: expected"),
    ],
)
def test_a_wrong_set_is_refused_by_its_name(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        _loaded(tmp_path, text)


def test_each_lot_is_judged_by_its_own_set_and_a_lost_one_is_named() -> None:
    close = np.full(len(DAYS), 100.0)
    series = BarSeries.from_columns("NSE:A", DAYS, (close, close + 1, close - 1, close), close)
    settings = PositionSettings(
        rules=SellRuleSettings(time_sessions=40), rule_sets={"swing": SellRuleSettings(time_sessions=5)}
    )
    lots = [
        Lot(
            number=at, symbol="NSE:A", opened=DAYS[-11].item(), quantity=1, entry=100.0, stop=90.0, rules=name
        )
        for at, name in enumerate(("default", "swing", "gone"))
    ]
    report = report_positions(LotBook(lots=tuple(lots)), {"NSE:A": series}, LAST, settings)
    assert [[rule.name for rule in position.firing] for position in report.positions] == [
        [],
        ["time_stop"],
        [],
    ]
    assert report.rule_sets == ("default", "swing")
    assert report.notices == (
        "NSE:A: the set of rules `gone` is no longer in [positions] rule_sets; the default one is used",
    )
