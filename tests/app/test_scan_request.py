"""A scan over the port is read before any bars are."""

from types import SimpleNamespace
from typing import Any

import pytest

from vcpd.analysis.scans.request import ScanSettings
from vcpd.analysis.thresholds import Thresholds
from vcpd.app.status import StatusService
from vcpd.core.errors import BadInputError, StorageUnavailableError


async def _no_bars() -> Any:
    raise StorageUnavailableError("no bars are stored yet")


def _service_without_bars() -> StatusService:
    configuration = SimpleNamespace(screen=Thresholds(), scans=ScanSettings())
    live: Any = SimpleNamespace(configuration=configuration)
    panels: Any = SimpleNamespace(load=_no_bars)
    parts: dict[str, Any] = dict.fromkeys(StatusService.__init__.__annotations__)
    del parts["return"]
    return StatusService(**{**parts, "live": live, "current_panel": panels})


async def test_a_wrong_expression_is_named_before_the_first_bars_are_there() -> None:
    service = _service_without_bars()
    with pytest.raises(BadInputError, match="close"):
        await service.scan("clos > 5", "", None, None)
    with pytest.raises(StorageUnavailableError):
        await service.scan("close > 5", "", None, None)
