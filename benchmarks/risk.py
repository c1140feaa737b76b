"""Risk of a whole market, side by side: one pass over blocks, plain pandas per symbol, empyrical per symbol.

All three read the same 2,500 x 253 closes (252 returns) of a simulated market. Times are CPU time.
"""

import gc
import statistics
import time
from collections.abc import Callable
from typing import Final

import empyrical
import numpy as np
import pandas as pd

from vcpd.analysis.risk.metric_names import METRICS
from vcpd.analysis.risk.parameters import RiskResult, RiskTaskParams
from vcpd.analysis.risk.report import measure_risk
from vcpd.analysis.risk.scores import score_risk
from vcpd.analysis.tasks import score_risk_encoded
from vcpd.domain.panel import Panel

SYMBOLS: Final = 2_500
SESSIONS: Final = 253
ROUNDS: Final = 15
SAMPLE: Final = 20  # symbols a round that the slow ways are timed on; each symbol costs the same
METRIC_CODE: Final = (
    empyrical.annual_volatility,
    empyrical.downside_risk,
    empyrical.sharpe_ratio,
    empyrical.sortino_ratio,
    empyrical.calmar_ratio,
    empyrical.max_drawdown,
    empyrical.value_at_risk,
    empyrical.conditional_value_at_risk,
)


def main() -> None:
    """Time the three ways in turns, so that a busy moment of the machine meets all, and print a table."""
    panel = simulated_panel()
    rows, parameters = range(SYMBOLS), RiskTaskParams()
    block = measure_risk(panel, rows, parameters)
    frames = [frame_of(panel, row) for row in range(SAMPLE)]
    market = pd.Series(panel.index_close, pd.DatetimeIndex(panel.sessions.astype("M8[ns]"))).pct_change()
    check(block, frames, market)
    measured, scored, read, written, by_pandas, by_empyrical = in_turns(
        lambda: measure_risk(panel, rows, parameters),
        lambda: score_risk([block], parameters),
        lambda: list(score_risk([block], parameters)),
        lambda: score_risk_encoded([block], parameters),
        lambda: [plain_pandas(frame, market) for frame in frames],
        lambda: [with_empyrical(frame, market) for frame in frames],
    )
    per_sample = SYMBOLS / SAMPLE
    whole = [sum(both) for both in zip(measured, scored, strict=True)]
    report(
        [
            ("metrics, blocks of the panel", measured, len(METRICS)),
            ("scores of the universe, columns", scored, 6),
            ("metrics and scores", whole, len(METRICS) + 6),
            ("scores, each symbol's values read", read, len(METRICS) + 6),
            ("scores, each symbol's as JSON text", written, len(METRICS) + 6),
            ("plain pandas, symbol by symbol", [panda * per_sample for panda in by_pandas], 16),
            (
                "empyrical, symbol by symbol",
                [value * per_sample for value in by_empyrical],
                len(METRIC_CODE) + 2,
            ),
        ]
    )


def simulated_panel() -> Panel:
    """A market of random walks with gaps, wicks and uneven volume; nothing missing."""
    chance = np.random.default_rng(11)
    market = chance.normal(0.0004, 0.009, SESSIONS)
    own = chance.normal(0, 1, (SYMBOLS, SESSIONS)) * chance.uniform(0.008, 0.03, (SYMBOLS, 1))
    close = 100 * np.exp(np.cumsum(market + own, axis=1))
    opening = np.concatenate([close[:, :1], close[:, :-1]], axis=1) * np.exp(own[:, ::-1] * 0.4)
    high = np.maximum(opening, close) * (1 + np.abs(own) * 0.3)
    low = np.minimum(opening, close) * (1 - np.abs(own) * 0.3)
    volume = np.round(chance.lognormal(11, 0.7, (SYMBOLS, SESSIONS)))
    return Panel(
        symbols=tuple(f"SIM:{row:04}" for row in range(SYMBOLS)),
        sessions=np.busday_offset("2024-07-01", np.arange(SESSIONS), roll="forward"),
        values=np.stack([opening, high, low, close, volume]),
        provisional=np.zeros((SYMBOLS, SESSIONS), np.bool_),
        index_close=100 * np.exp(np.cumsum(market)),
        tick_size=np.full(SYMBOLS, 0.05),
    )


def frame_of(panel: Panel, row: int) -> pd.DataFrame:
    planes = dict(zip(("open", "high", "low", "close", "volume"), panel.values[:, row], strict=True))  # noqa: PD011 - a panel, no frame
    return pd.DataFrame(planes, index=pd.DatetimeIndex(panel.sessions.astype("M8[ns]")))


def plain_pandas(frame: pd.DataFrame, market: "pd.Series[float]") -> dict[str, float]:
    """The same risk as an ordinary trading application computes it, column by column."""
    frame = frame.copy()
    frame["returns"] = frame["close"].pct_change()
    frame["previous"] = frame["close"].shift(1)
    frame["gap"] = (frame["open"] / frame["previous"] - 1).abs()
    reach = [
        frame["high"] - frame["low"],
        (frame["high"] - frame["previous"]).abs(),
        (frame["low"] - frame["previous"]).abs(),
    ]
    frame["true_range"] = pd.concat(reach, axis=1).max(axis=1)
    frame["wealth"] = (1 + frame["returns"].fillna(0)).cumprod()
    frame["drawdown"] = frame["wealth"] / frame["wealth"].cummax() - 1
    fast, slow = frame["close"].rolling(20).mean(), frame["close"].rolling(50).mean()
    returns, volume = frame["returns"].dropna(), frame["volume"].iloc[1:]
    down = returns.clip(upper=0)
    return {
        "annual_volatility": returns.std() * 252**0.5,
        "downside_deviation": (down**2).mean() ** 0.5 * 252**0.5,
        "sharpe": returns.mean() / returns.std() * 252**0.5,
        "max_drawdown": frame["drawdown"].min(),
        "var_95": returns.quantile(0.05),
        "beta": returns.cov(market) / market.loc[returns.index].var(),
        "atr14_pct": 100 * frame["true_range"].rolling(14).mean().iloc[-1] / frame["close"].iloc[-1],
        "atr50_pct": 100 * frame["true_range"].rolling(50).mean().iloc[-1] / frame["close"].iloc[-1],
        "gap_frequency": (frame["gap"].dropna() > 0.03).mean(),
        "gap_mean": frame["gap"].mean(),
        "gap_worst": frame["gap"].max(),
        "volume_variation": volume.std() / volume.mean(),
        "volume_spikes": float((volume > 2 * volume.mean()).sum()),
        "skewness": returns.skew(),
        "excess_kurtosis": returns.kurt(),
        "trend_crossings": float((((fast > slow).astype(int).diff().abs()).iloc[50:] > 0).sum()),
    }


def with_empyrical(frame: pd.DataFrame, market: "pd.Series[float]") -> list[float]:
    """Only the metrics that empyrical has, by its own functions."""
    returns = frame["close"].pct_change().iloc[1:]
    own = [float(metric(returns)) for metric in METRIC_CODE]
    both = empyrical.alpha_beta(returns, market.iloc[1:])
    return [*own, *(float(value) for value in both)]


def in_turns(*works: Callable[[], object]) -> list[list[float]]:
    """CPU seconds of each work in each of `ROUNDS` rounds, without the collector of garbage like timeit."""
    spent: list[list[float]] = [[] for _ in works]
    gc.collect()
    gc.disable()
    for _ in range(ROUNDS):
        for work, own in zip(works, spent, strict=True):
            started = time.process_time()
            result = work()
            own.append(time.process_time() - started)
            del result  # whoever asked has it in hand: throwing it away is no part of the work
    gc.enable()
    return spent


def check(block: RiskResult, frames: list[pd.DataFrame], market: "pd.Series[float]") -> None:
    """The ways must agree, else their times say nothing."""
    for row, frame in enumerate(frames[:10]):
        for name, value in plain_pandas(frame, market).items():
            ours = block.values[row, METRICS.index(name)]  # noqa: PD011 - a block, no frame
            if not np.isclose(ours, value, rtol=1e-9, atol=1e-12):
                raise AssertionError(f"{block.symbols[row]} {name}: expected {value}, was {ours}")


def report(lines: list[tuple[str, list[float], int]]) -> None:
    """One line a way: figures a symbol, milliseconds for the market, and against metrics and scores."""
    whole_s = statistics.median(next(spent for name, spent, _ in lines if name == "metrics and scores"))
    print(f"{SYMBOLS:,} symbols x {SESSIONS - 1} returns, one thread, CPU time of {ROUNDS} rounds in turns")
    print(f"{'':36}{'figures':>8}{'median ms':>11}{'best ms':>10}{'us/symbol':>11}{'times ours':>12}")
    for name, spent, figures in lines:
        seconds, best_s = statistics.median(spent), min(spent)
        print(
            f"{name:36}{figures:>8}{1e3 * seconds:>11,.1f}{1e3 * best_s:>10,.1f}"
            f"{1e6 * seconds / SYMBOLS:>11,.1f}{seconds / whole_s:>12,.1f}"
        )


if __name__ == "__main__":
    main()
