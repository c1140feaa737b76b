"""What the live feed of the sandbox costs: 3,000 instruments in mode full, once a second, one client.

    python -m benchmarks.ticker [--symbols 3000] [--seconds 10]

Starts the real program on a free port, follows it, and prints ticks a second and the share of one core that
the sandbox has used meanwhile.
"""

import argparse
import asyncio
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qs, urlsplit

import aiohttp
import psutil

from vcpd.kite.ticker_protocol import TickerMode, decode_prices, set_mode, subscribe
from vcpd.sandbox.settings import SandboxSettings

ACCOUNT: Final = SandboxSettings()
LARGEST_FRAME: Final = 2**24


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--symbols", type=int, default=3000)
    parser.add_argument("--seconds", type=float, default=10.0)
    asked = parser.parse_args(arguments)
    options = ["--symbols", str(asked.symbols), "--port", "0", "--session", "last", "--start", "11:00"]
    with subprocess.Popen(
        [sys.executable, "-m", "vcpd", "sandbox", *options], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        reported = json.loads(process.stdout.readline())
        try:
            asyncio.run(
                _measure(reported["url"], reported["ticker"], psutil.Process(process.pid), asked.seconds)
            )
        finally:
            process.terminate()


async def _measure(url: str, ticker: str, process: psutil.Process, seconds: float) -> None:
    async with aiohttp.ClientSession() as http:
        access_token = await _log_in(http, url)
        tokens = await _tokens(http, url, access_token)
        query = {"api_key": ACCOUNT.api_key, "access_token": access_token}
        async with http.ws_connect(ticker, params=query, max_msg_size=LARGEST_FRAME) as socket:
            await socket.send_str(subscribe(tokens))
            await socket.send_str(set_mode(TickerMode.FULL, tokens))
            await socket.receive()
            used_s, begun_s, ticks = _cpu_s(process), time.monotonic(), 0
            while time.monotonic() - begun_s < seconds:
                ticks += len(decode_prices([(await socket.receive()).data]))
            elapsed_s = time.monotonic() - begun_s
    share = (_cpu_s(process) - used_s) / elapsed_s
    print(f"{len(tokens)} instruments: {ticks / elapsed_s:.0f} ticks/s, {share:.1%} of one core")


def _cpu_s(process: psutil.Process) -> float:
    spent = process.cpu_times()
    return float(spent.user + spent.system)


async def _log_in(http: aiohttp.ClientSession, url: str) -> str:
    """The access token for the published account of the sandbox."""
    login = f"{url}/connect/login?v=3&api_key={ACCOUNT.api_key}"
    async with http.get(login, allow_redirects=False) as response:
        (request_token,) = parse_qs(urlsplit(response.headers["Location"]).query)["request_token"]
    signed = f"{ACCOUNT.api_key}{request_token}{ACCOUNT.api_secret}".encode()
    form = {
        "api_key": ACCOUNT.api_key,
        "request_token": request_token,
        "checksum": hashlib.sha256(signed).hexdigest(),
    }
    async with http.post(f"{url}/session/token", data=form) as response:
        access_token: str = (await response.json())["data"]["access_token"]
    return access_token


async def _tokens(http: aiohttp.ClientSession, url: str, access_token: str) -> list[int]:
    """Equities and indices, as many as one connection may follow."""
    headers = {"X-Kite-Version": "3", "Authorization": f"token {ACCOUNT.api_key}:{access_token}"}
    async with http.get(f"{url}/instruments/NSE", headers=headers) as response:
        rows = [line.split(",") for line in (await response.text()).splitlines()[1:]]
    return [int(row[0]) for row in rows if "-" not in row[2]][: ACCOUNT.ticker.instruments]


if __name__ == "__main__":
    main()
