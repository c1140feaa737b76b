"""`vcpd scan` over a file of made-up bars, and its list of scans with and without a daemon."""

import csv
import io
import json
import re
import socket
from pathlib import Path

import pytest

from tests.cli.bar_files import LAST, write_bars
from tests.cli.scripted_daemon import ScriptedDaemon, call, configuration, serving, sources
from vcpd.analysis.scans.presets import PRESETS
from vcpd.cli.command import EXIT_BAD_INPUT, EXIT_OK
from vcpd.cli.main import main
from vcpd.domain.scans import SavedScan

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bars(tmp_path_factory.mktemp("bars") / "bars.parquet")


def _run(*words: object) -> int:
    return main([str(word) for word in words])


def test_matches_carry_the_values_of_their_clauses(bars: Path, capsys: Capture) -> None:
    assert _run("scan", "close > sma(50)", "--bars", bars, "--json") == EXIT_OK
    result = json.loads(capsys.readouterr().out)
    assert result["as_of"] == str(LAST)
    assert result["evaluated"] == 8
    assert 0 < result["count"] == len(result["items"]) < 8
    for row in result["items"]:
        (clause,) = row["clauses"]
        assert clause["values"]["close"] > clause["values"]["sma(50)"]


def test_a_column_of_whole_numbers_has_no_decimals(bars: Path, capsys: Capture) -> None:
    assert _run("scan", "up_days(5) >= 0 and close > 0", "--bars", bars) == EXIT_OK
    rows = re.findall(r"^ \S+ +(\S+) +(\S+) *$", capsys.readouterr().out, re.MULTILINE)
    cells = [row for row in rows if row[0] != "up_days(5)"]
    assert len(cells) == 8
    assert all(re.fullmatch(r"[0-5]", days) and re.fullmatch(r"[\d,]+\.\d\d", close) for days, close in cells)


def test_csv_has_a_row_for_each_match_and_value(bars: Path, capsys: Capture) -> None:
    assert _run("scan", "close > sma(50)", "--bars", bars, "--csv") == EXIT_OK
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["value_of"] for row in rows} == {"close", "sma(50)"}
    assert {row["as_of"] for row in rows} == {str(LAST)}


def test_a_symbol_is_explained_although_it_does_not_match(bars: Path, capsys: Capture) -> None:
    assert _run("scan", "close > 0 and close > 1e9", "--bars", bars, "--symbol", "aab") == EXIT_OK
    shown = capsys.readouterr().out
    assert "none of 8 symbols matches" in shown
    assert "AAB: does not match" in shown
    assert "fails    close > 1e9" in shown


def test_values_of_the_detector_are_computed_for_the_session_of_the_file(bars: Path, capsys: Capture) -> None:
    """Those of bases; the risk score of every symbol."""
    words = ("--bars", bars, "--as-of", "2025-05-15", "--json")
    assert _run("scan", "score >= 0", *words) == EXIT_OK
    scanned = {row["symbol"]: row["clauses"] for row in json.loads(capsys.readouterr().out)["items"]}
    assert _run("screen", "--all", *words) == EXIT_OK
    screened = json.loads(capsys.readouterr().out)["items"]
    assert {name: row[0]["values"]["score"] for name, row in scanned.items()} == {
        entry["symbol"]: entry["score"] for entry in screened if entry["footprint"] is not None
    }
    assert _run("scan", "risk >= 0 and risk_gap >= 0 and risk_trend <= 100", *words) == EXIT_OK
    rated = {row["symbol"]: row["clauses"] for row in json.loads(capsys.readouterr().out)["items"]}
    assert _run("risk", *words) == EXIT_OK
    scores = {entry["symbol"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert {name: row[1]["values"]["risk_gap"] for name, row in rated.items()} == {
        name: entry["components"]["gap"] for name, entry in scores.items() if entry["score"] is not None
    }
    assert rated


def test_regime_and_sectors_are_computed_from_their_files_or_refused(
    bars: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert _run("scan", 'regime == "correction"', "--bars", bars) == EXIT_BAD_INPUT
    assert "regime: expected --index FILE" in capsys.readouterr().err
    assert _run("scan", "sector_rank <= 3", "--bars", bars) == EXIT_BAD_INPUT
    assert "sector, sector_rank: expected --sectors FILE" in capsys.readouterr().err
    companies = tmp_path / "companies.csv"
    companies.write_text(
        "Symbol,Industry\n" + "".join(f"AA{name},Steel\n" for name in "ABC"), encoding="utf-8"
    )
    words = ("--bars", bars, "--sectors", companies, "--index", bars, "--index-symbol", "AAA", "--json")
    assert _run("scan", 'sector == "Steel" and regime != "nonsense"', *words) == EXIT_OK
    found = [row["symbol"] for row in json.loads(capsys.readouterr().out)["items"]]
    assert {symbol.rpartition(":")[2] for symbol in found} <= {"AAA", "AAB", "AAC"}
    assert found


def test_a_wrong_expression_is_refused_with_its_position(bars: Path, capsys: Capture) -> None:
    assert _run("scan", "clos > 3", "--bars", bars) == EXIT_BAD_INPUT
    assert "character 1, at 'clos > 3': unknown name 'clos'; did you mean close" in capsys.readouterr().err
    assert _run("scan", "--bars", bars) == EXIT_BAD_INPUT
    assert _run("scan", "--preset", "nonsense", "--bars", bars) == EXIT_BAD_INPUT
    assert "there is no scan 'nonsense'; known are" in capsys.readouterr().err


SETTINGS = '[scans]\nfollow = ["mine"]\n[scans.saved]\nmine = "close > 5"\n'


@pytest.mark.parametrize("beside_a_file", [True, False])
def test_presets_and_scans_of_the_configuration_are_listed_without_a_daemon(
    bars: Path, tmp_path: Path, capsys: Capture, *, beside_a_file: bool
) -> None:
    """Only beside a file of bars is it no lack that the scans of the page are not listed."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        path = configuration(tmp_path, taken.getsockname()[1], SETTINGS)
        words = ("--bars", bars) if beside_a_file else ()
        assert _run("scan", "--list", "--json", "--config", path, *words) == EXIT_OK
    captured = capsys.readouterr()
    assert ("saved on the page are not listed: no vcpd answers at" in captured.err) != beside_a_file
    scans = json.loads(captured.out)
    assert len(scans) == 21
    assert (scans[0]["name"], scans[0]["followed"]) == ("mine", True)
    assert all(scan["source"] for scan in scans[1:])


async def test_scans_of_the_page_are_listed_and_found_where_the_daemon_answers(
    tmp_path: Path, capsys: Capture
) -> None:
    daemon = ScriptedDaemon()
    await daemon.save_scan(SavedScan("tight", "range(5) < 3", followed=True))
    async with serving(tmp_path, sources(daemon)) as path:
        assert await call("scan", "--list", "--config", path) == EXIT_OK
        table = capsys.readouterr()
        assert re.search(r"tight +saved on the page, followed +range\(5\) < 3", table.out)
        assert not table.err
        assert await call("scan", "--list", "--json", "--config", path) == EXIT_OK
        listed = {scan["name"]: scan["is_stored"] for scan in json.loads(capsys.readouterr().out)}
        assert listed == {"tight": True} | dict.fromkeys(PRESETS, False)
        assert await call("scan", "--preset", "tight", "--json", "--config", path) == EXIT_OK
        assert json.loads(capsys.readouterr().out)["expression"] == "range(5) < 3"
