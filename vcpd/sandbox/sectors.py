"""The sectors of the simulated companies, published in the layout of an index list."""

import csv
import io
from collections.abc import Iterable
from typing import Final

from vcpd.sandbox.market import Listing
from vcpd.sandbox.names import sector_in

COLUMNS: Final = ("Company Name", "Industry", "Symbol", "Series", "ISIN Code")


def sector_list(listings: Iterable[Listing]) -> str:
    """A line for each company whose name tells its sector; bonds, indices and real names have none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in listings:
        if (sector := sector_in(one.name)) is not None:
            writer.writerow((one.name, sector, one.trading_symbol, "EQ", ""))
    return text.getvalue()
