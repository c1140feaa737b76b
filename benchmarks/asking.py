"""A process that asks a local port for a path at a steady rate and tells how soon the answers came.

Run by others as: python -m benchmarks.asking PORT PER_SECOND PATH; ends at end of input.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

CONNECTIONS = 8
STATUS = "/status"
HEADERS = "Host: 127.0.0.1\r\nAccept-Encoding: gzip"


@dataclass(slots=True)
class Answers:
    """What the process told at its end."""

    path: str = STATUS
    requested: int = 0
    failed: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0

    def show(self, p99_target_ms: float | None = None) -> None:
        asked = self.path.partition("?")[0]
        target = "" if p99_target_ms is None else f" (target {p99_target_ms:g})"
        print(
            f"{asked:<12} {self.requested:>18} asked, {self.failed} failed  p50 {self.p50_ms:.2f} ms  "
            f"p99 {self.p99_ms:.2f} ms{target}  max {self.max_ms:.2f} ms",
            flush=True,
        )


@asynccontextmanager
async def asking(port: int, per_second: int, path: str = STATUS) -> AsyncIterator[Answers]:
    """Ask while the block runs; the answers are filled in after it."""
    answers = Answers(path)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.asking",
        str(port),
        str(per_second),
        path,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield answers
    finally:
        output, _ = await process.communicate(b"")
    for name, value in json.loads(output).items():
        setattr(answers, name, value)


class _Asker:
    """Requests due at fixed instants, whoever of the connections is free takes the next one."""

    def __init__(self, port: int, per_second: int, path: str) -> None:
        self._port = port
        self._request = f"GET {path} HTTP/1.1\r\n{HEADERS}\r\n\r\n".encode("ascii")
        self._pause_s = 1.0 / per_second
        self._next_s = time.perf_counter()
        self.latencies_ms: list[float] = []
        self.failed = 0

    async def ask(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while True:
            due_s, self._next_s = self._next_s, self._next_s + self._pause_s
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            sent_s = time.perf_counter()
            writer.write(self._request)
            ok = await _answered(reader)
            self.failed += not ok
            self.latencies_ms.append((time.perf_counter() - sent_s) * 1_000)

    def summary(self) -> dict[str, float]:
        ordered = sorted(self.latencies_ms) or [0.0]
        return {
            "requested": len(self.latencies_ms),
            "failed": self.failed,
            "p50_ms": ordered[len(ordered) // 2],
            "p99_ms": ordered[int(0.99 * (len(ordered) - 1))],
            "max_ms": ordered[-1],
        }


async def _answered(reader: asyncio.StreamReader) -> bool:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    await reader.readexactly(length)
    return head.startswith(b"HTTP/1.1 200")


async def main(port: int, per_second: int, path: str) -> None:
    asker = _Asker(port, per_second, path)
    tasks = [asyncio.create_task(asker.ask(), name=f"asker-{number}") for number in range(CONNECTIONS)]
    await asyncio.to_thread(sys.stdin.buffer.read)
    for task in tasks:
        task.cancel()
    print(json.dumps(asker.summary()))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
