"""How fast the port answers and the page opens: `python benchmarks/web.py [URL]`, by wrk and chromium.

Without a URL it serves 2,500 made-up setups itself; with one it asks a running daemon.
"""

import re
import shutil
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.web.served import served
from tests.web.showroom import showroom

CONNECTIONS: Final = 16
SECONDS: Final = 5
OPENINGS: Final = 5
QUESTIONS: Final = ("/status", "/api/setups", "/api/board", "/healthz")
READY: Final = """
const page = performance.getEntriesByType('navigation')[0];
const parts = performance.getEntriesByType('resource');
return {usable: performance.getEntriesByName('usable')[0]?.startTime - page.responseStart,
        bytes: page.transferSize + parts.reduce((sum, part) => sum + part.transferSize, 0)};
"""


def main() -> None:
    with ExitStack() as stack:
        url = sys.argv[1] if len(sys.argv) > 1 else stack.enter_context(served(showroom(2_500)))
        _answers(url.rstrip("/"))
        _page(url)


def _answers(url: str) -> None:
    wrk = shutil.which("wrk")
    if wrk is None:
        print("answers: skipped, wrk is not installed (Debian: wrk)")
        return
    for question in QUESTIONS:
        command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", f"{url}{question}"]
        reported = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        rate, worst = (
            re.search(r"Requests/sec:\s*([\d.]+)", reported),
            re.search(r"^\s+99%\s+(\S+)", reported, re.MULTILINE),
        )
        if rate is None or worst is None:
            raise SystemExit(f"wrk said something else than expected:\n{reported}")
        print(f"{question}: {float(rate[1]):,.0f} requests/s, p99 {worst[1]}")


def _page(url: str) -> None:
    chromium, driver_path = shutil.which("chromium"), shutil.which("chromedriver")
    try:
        from selenium import webdriver  # noqa: PLC0415 - may not be installed
    except ImportError:
        chromium = None
    if chromium is None or driver_path is None:
        print("page: skipped, it needs selenium, chromium and chromedriver")
        return
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1440,900"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_path))
    try:
        _say([_opened(driver, url) for _ in range(OPENINGS)])
    finally:
        driver.quit()


def _opened(driver: Any, url: str) -> dict[str, float]:
    """One opening with an empty cache, until the table can be used and a chart has had time to come."""
    driver.execute_cdp_cmd("Network.clearBrowserCache", {})
    driver.get("about:blank")
    driver.get(url)
    deadline = time.monotonic() + 20
    while not driver.execute_script("return performance.getEntriesByName('usable').length"):
        if time.monotonic() > deadline:
            raise SystemExit("the page was not usable within 20 s")
        time.sleep(0.02)
    time.sleep(1.5)
    measured: dict[str, float] = driver.execute_script(READY)
    return measured


def _say(openings: list[dict[str, float]]) -> None:
    usable = statistics.median(opening["usable"] for opening in openings)
    transferred = max(opening["bytes"] for opening in openings)
    print(
        f"page: usable {usable:,.0f} ms after the first byte (median of {OPENINGS}), "
        f"{transferred / 1000:,.0f} kB in all"
    )


if __name__ == "__main__":
    main()
