"""Twenty scans of published methods, written in the scan language from the descriptions of their sources."""

from typing import Final, NamedTuple


class ScanPreset(NamedTuple):
    """A scan with its title and where the method is described."""

    title: str
    expression: str
    source: str


_TREND: Final = "close > sma(50) and sma(50) > sma(150) and sma(150) > sma(200)"

PRESETS: Final[dict[str, ScanPreset]] = {
    "trend_template": ScanPreset(
        "Minervini's trend template",
        f"{_TREND} and sma(200) > ago(sma(200), 21) and close >= 1.3 * lowest(low, 252) "
        "and close >= 0.75 * highest(high, 252) and rs >= 70",
        "Mark Minervini, Trade Like a Stock Market Wizard (2013), chapter 5",
    ),
    "new_high_52_weeks": ScanPreset(
        "52-week high",
        "high >= highest(high, 252) and close > ago(close, 1)",
        "George and Hwang, The 52-Week High and Momentum Investing, Journal of Finance 59 (2004)",
    ),
    "near_high_52_weeks": ScanPreset(
        "Within 5 % of the 52-week high",
        "close >= 0.95 * highest(high, 252) and close > sma(50)",
        "George and Hwang, The 52-Week High and Momentum Investing, Journal of Finance 59 (2004)",
    ),
    "gain_4_percent": ScanPreset(
        "4 % breakout on larger volume",
        "roc(1) >= 4 and volume > ago(volume, 1) and volume >= 100000",
        "Pradeep Bonde, Stockbee, Market Monitor: 4 % studies",
    ),
    "gain_20_percent_week": ScanPreset(
        "20 % in five sessions",
        "roc(5) >= 20 and mean(volume, 5) >= 100000",
        "Pradeep Bonde, Stockbee, 20 % study",
    ),
    "momentum_quarter": ScanPreset(
        "25 % in a quarter",
        "close >= 1.25 * lowest(close, 65) and mean(volume, 20) >= 100000",
        "Pradeep Bonde, Stockbee, Market Monitor: 25 % in a quarter",
    ),
    "pocket_pivot": ScanPreset(
        "Pocket pivot: an up day on more volume than any down day of ten sessions",
        "close > ago(close, 1) and volume > ago(highest(volume * count(change(1) < 0, 1), 10), 1) "
        "and close > sma(50)",
        "Gil Morales and Chris Kacher, Trade Like an O'Neil Disciple (2010), chapter 5",
    ),
    "three_weeks_tight": ScanPreset(
        "Three weekly closes within 1.5 %",
        "weekly(highest(close, 3)) <= 1.015 * weekly(lowest(close, 3)) and close > sma(50)",
        "William O'Neil, How to Make Money in Stocks, 4th edition (2009): three weeks tight",
    ),
    "nr7": ScanPreset(
        "Narrowest range of seven sessions",
        "high - low <= lowest(high - low, 7) and close > sma(50)",
        "Toby Crabel, Day Trading with Short Term Price Patterns and Opening Range Breakout (1990)",
    ),
    "inside_day": ScanPreset(
        "Inside day in an uptrend",
        f"high < ago(high, 1) and low > ago(low, 1) and {_TREND}",
        "Toby Crabel, Day Trading with Short Term Price Patterns and Opening Range Breakout (1990)",
    ),
    "rs_before_price": ScanPreset(
        "Relative strength line at its high before the price",
        "rs_line >= highest(rs_line, 252) and close < highest(close, 252)",
        "William O'Neil, How to Make Money in Stocks, 4th edition (2009): relative strength line",
    ),
    "high_tight_flag": ScanPreset(
        "High tight flag: doubled within eight weeks, then down at most 25 %",
        "highest(high, 60) >= 2 * lowest(low, 60) and ago(close, 40) < 0.6 * close "
        "and close >= 0.75 * highest(high, 20)",
        "William O'Neil, How to Make Money in Stocks, 4th edition (2009): high, tight flag",
    ),
    "episodic_pivot": ScanPreset(
        "Episodic pivot: a gap of 8 % on three times the volume",
        "gap() >= 8 and volume >= 3 * ago(mean(volume, 50), 1) and close > open",
        "Pradeep Bonde, Stockbee: episodic pivots",
    ),
    "pullback_21_ema": ScanPreset(
        "Pullback to the 21-session exponential average in an uptrend",
        "low <= 1.01 * ema(21) and close >= ema(21) and ema(21) > sma(50) and sma(50) > ago(sma(50), 10)",
        "Investor's Business Daily: pullbacks to the 21-day exponential average",
    ),
    "dry_up_near_pivot": ScanPreset(
        "Volume dry-up near the pivot of a followed base",
        'state == "NEAR_PIVOT" and volume < 0.6 * mean(volume, 50) and pivot_distance <= 5',
        "Mark Minervini, Trade Like a Stock Market Wizard (2013), chapter 10: volatility contraction pattern",
    ),
    "golden_cross": ScanPreset(
        "50-session average crosses above the 200-session average",
        "crosses(sma(50), sma(200))",
        "Brock, Lakonishok and LeBaron, Simple Technical Trading Rules, Journal of Finance 47 (1992)",
    ),
    "oversold_in_uptrend": ScanPreset(
        "RSI of two sessions below 10 above the 200-session average",
        "rsi(2) < 10 and close > sma(200)",
        "Larry Connors and Cesar Alvarez, Short Term Trading Strategies That Work (2008)",
    ),
    "donchian_breakout": ScanPreset(
        "Close above the highest high of the 55 sessions before",
        "close > ago(highest(high, 55), 1)",
        "Curtis Faith, Way of the Turtle (2007): system 2",
    ),
    "bollinger_squeeze": ScanPreset(
        "Bands at their narrowest of 120 sessions",
        "stdev(close, 20) / sma(20) <= lowest(stdev(close, 20) / sma(20), 120)",
        "John Bollinger, Bollinger on Bollinger Bands (2001): the squeeze",
    ),
    "momentum_12_1": ScanPreset(
        "Top tenth by the return of twelve months without the last",
        "rank(ago(close, 21) / ago(close, 252)) >= 90",
        "Jegadeesh and Titman, Returns to Buying Winners and Selling Losers, Journal of Finance 48 (1993)",
    ),
}
