"""Five years of 208 stocks through a daemon at the vendor's rate: `python -m benchmarks.collection`.

The exchange on localhost serves the real bars (folder VCPD_DATA, default beside the project) and turns
away what exceeds 3 candle requests in any second. Takes about 75 seconds.
"""

import argparse
import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.daemons import (
    configure,
    daemon,
    exchange_counts,
    free_port,
    is_done,
    last_run,
    quiet_daemon,
    until,
)

DATA = Path(os.environ.get("VCPD_DATA", Path(__file__).resolve().parents[1] / ".." / "shared" / "data"))
BARS, INDEX = "nse_fno208.parquet", "nse_indices.parquet"
EVENING = "2025-06-30T19:30:00+05:30"
SHARE_TARGET = 0.97
REAL_MARKET = """
[sandbox]
bars = "{bars}"
index = "{index}"
port = {exchange}
"""


async def measure() -> None:
    if not (DATA / BARS).exists():
        print(f"{BARS} is not there; set VCPD_DATA to its folder")
        return
    with tempfile.TemporaryDirectory(prefix="vcpd-bench-") as name:
        port, exchange = free_port(), free_port()
        bars, index = (DATA / BARS).resolve(), (DATA / INDEX).resolve()
        market = REAL_MARKET.format(exchange=exchange, bars=bars, index=index)
        configure(Path(name), quiet_daemon(port) + market)
        async with daemon(Path(name), "--now", EVENING):
            status = await until(port, lambda entry: is_done(entry, "collect"))
            report(status, (await exchange_counts(exchange))["historical"])


def report(status: Any, counts: Any) -> None:
    collected = last_run(status, "collect")["counts"]
    share = counts["rate_per_s"] / counts["limit"]
    print(f"{collected['inserted']:,} bars of {collected['fetched']} symbols; load {os.getloadavg()[0]:.1f}")
    print(
        f"{counts['requests']} requests at {counts['rate_per_s']:.3f}/s = {share:.1%} of the limit "
        f"(target {SHARE_TARGET:.0%}), at most {counts['max_in_one_second']} in a second, "
        f"{counts['refused']} answered with 429"
    )


def main(arguments: list[str] | None = None) -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter).parse_args(
        arguments
    )
    asyncio.run(measure())


if __name__ == "__main__":
    main()
