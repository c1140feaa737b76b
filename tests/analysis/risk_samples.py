"""Markets for the risk tests, and the outside answers: empyrical, pandas, plain definitions."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import empyrical
import numpy as np
import pandas as pd
import polars as pl

from vcpd.domain.bars import BAR_DTYPE, PRICE_FIELDS, BarSeries, DateArray, FloatArray

Metrics = dict[str, Any]


def read_bars(path: Path) -> Iterator[BarSeries]:
    """Every symbol's history in a parquet file of bars."""
    frame = pl.read_parquet(path).sort("symbol", "date")
    for (symbol,), own in frame.group_by(["symbol"], maintain_order=True):
        records = np.zeros(len(own), BAR_DTYPE)
        records["session"] = own["date"].cast(pl.Date).to_numpy()
        for name in (*PRICE_FIELDS, "volume"):
            records[name] = own[name].cast(pl.Float64).to_numpy()
        yield BarSeries(str(symbol), records)


def sessions_from(first: str, count: int) -> DateArray:
    return np.datetime64(first, "D") + np.arange(count)


def walk(symbol: str, count: int = 300, seed: int = 1, first: str = "2024-01-01") -> BarSeries:
    """A random walk with opening gaps, wicks and uneven volume."""
    chance = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(chance.normal(0, 0.02, count)))
    opening = np.roll(close, 1) * np.exp(chance.normal(0, 0.015, count))
    opening[0] = close[0]
    high = np.maximum(opening, close) * (1 + chance.uniform(0, 0.02, count))
    low = np.minimum(opening, close) * (1 - chance.uniform(0, 0.02, count))
    volume = np.round(chance.lognormal(10, 0.8, count))
    return BarSeries.from_columns(symbol, sessions_from(first, count), (opening, high, low, close), volume)


def from_closes(symbol: str, close: FloatArray, volume: FloatArray, first: str = "2024-01-01") -> BarSeries:
    opening = np.concatenate([close[:1], close[:-1]])
    prices = (opening, np.maximum(opening, close), np.minimum(opening, close), close)
    return BarSeries.from_columns(symbol, sessions_from(first, len(close)), prices, volume)


def expected_metrics(series: BarSeries, index: BarSeries, as_of: date, window: int = 252) -> Metrics:
    """The metrics of one symbol by outside code, one definition after the other."""
    records = series.until(as_of).records
    records = records[~records["provisional"]][-window - 1 :]
    frame = pd.DataFrame({name: records[name] for name in ("open", "high", "low", "close", "volume")})
    frame.index = pd.DatetimeIndex(records["session"].astype("M8[ns]"))
    return {**_returns(frame), **_market(frame, index), **_range(frame), **_volume(frame), **_trend(frame)}


def _returns(frame: pd.DataFrame) -> Metrics:
    returns = frame["close"].pct_change().dropna()
    return {
        "annual_return": empyrical.annual_return(returns),
        "annual_volatility": empyrical.annual_volatility(returns),
        "downside_deviation": empyrical.downside_risk(returns),
        "sharpe": empyrical.sharpe_ratio(returns),
        "sortino": empyrical.sortino_ratio(returns),
        "calmar": empyrical.calmar_ratio(returns),
        "max_drawdown": empyrical.max_drawdown(returns),
        "var_95": empyrical.value_at_risk(returns, 0.05),
        "var_99": empyrical.value_at_risk(returns, 0.01),
        "cvar_95": empyrical.conditional_value_at_risk(returns, 0.05),
        "skewness": returns.skew(),
        "excess_kurtosis": returns.kurt(),
    }


def _market(frame: pd.DataFrame, index: BarSeries) -> Metrics:
    closes = pd.Series(index.close, pd.DatetimeIndex(index.sessions.astype("M8[ns]")))
    pairs = pd.DataFrame({"own": frame["close"], "market": closes.reindex(frame.index)})
    changes = pairs.pct_change(fill_method=None).dropna()
    return {
        "beta": empyrical.beta(changes["own"], changes["market"]),
        "alpha": empyrical.alpha(changes["own"], changes["market"]),
        "correlation": changes["own"].corr(changes["market"]),
    }


def _range(frame: pd.DataFrame) -> Metrics:
    previous = frame["close"].shift()
    reaches = [
        frame["high"] - frame["low"],
        (frame["high"] - previous).abs(),
        (frame["low"] - previous).abs(),
    ]
    true_range = pd.concat(reaches, axis=1).max(axis=1)
    gaps = (frame["open"] / previous - 1).dropna()
    intraday = (frame["close"] / frame["open"] - 1).iloc[1:]
    variances = gaps.var() + intraday.var()
    return {
        "atr14_pct": 100 * true_range.tail(14).mean() / frame["close"].iloc[-1],
        "atr50_pct": 100 * true_range.tail(50).mean() / frame["close"].iloc[-1],
        "gap_frequency": (gaps.abs() > 0.03).mean(),
        "gap_mean": gaps.abs().mean(),
        "gap_worst": gaps.abs().max(),
        "overnight_variance_share": gaps.var() / variances if variances > 0 else np.nan,
    }


def _volume(frame: pd.DataFrame) -> Metrics:
    known = frame.assign(change=frame["close"].pct_change()).iloc[1:].dropna(subset="volume")
    volume, value = known["volume"], known["volume"] * known["close"]
    traded = value > 0
    return {
        "volume_variation": volume.std() / volume.mean() if volume.sum() else np.nan,
        "volume_spikes": (volume > 2 * volume.mean()).sum() if volume.sum() else np.nan,
        "amihud_per_million": 1e6 * (known["change"].abs()[traded] / value[traded]).mean(),
        "median_traded_value": value.median(),
    }


def _trend(frame: pd.DataFrame) -> Metrics:
    close = frame["close"]
    lead = (close.rolling(20).mean() - close.rolling(50).mean()).dropna()
    sides = np.sign(lead[lead.abs() > 1e-9 * close.rolling(50).mean().loc[lead.index]])
    flat = close.max() == close.min()
    fit = np.nan if flat else np.corrcoef(np.arange(len(close)), np.log(close))[0, 1] ** 2
    return {"trend_crossings": float((sides.diff().abs() == 2).sum()), "trend_r2": fit}
