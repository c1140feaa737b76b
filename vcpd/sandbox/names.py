"""Generated company names and symbols, their sectors and series."""

from collections.abc import Mapping
from typing import Final

NAME_STEMS: Final = (
    "ARVALI",
    "BHADRIK",
    "CHIRUV",
    "DEVSUT",
    "ELKANA",
    "FARUNI",
    "GIRMOL",
    "HIRVAN",
    "ISHMAT",
    "JASVEL",
    "KUNDRA",
    "LAVNIK",
    "MIRGAN",
    "NALVEK",
    "OJASRI",
    "PRAVIL",
    "QUVENT",
    "RUDNAR",
    "SARVIK",
    "TILMOR",
    "UDVASH",
    "VAYUNI",
    "WARDEK",
    "YUGMAN",
    "ZARIKO",
    "ANUVEN",
    "BRIJOL",
    "CHANVI",
    "DHRUMA",
    "EKVIRA",
    "FENIKA",
    "GANVER",
    "HEMRUK",
    "INDVAL",
    "JHELVA",
    "KAVIRO",
    "LUMBIN",
    "MAHVEK",
    "NIRVOL",
    "OMVASH",
    "PADMIR",
    "RAKVEN",
    "SHUBAN",
    "TRIVEX",
    "UMANGI",
    "VELKAR",
    "WINDRA",
    "YASHVO",
    "ZENVIT",
    "ADHVAN",
    "BALKIR",
    "CORMEL",
    "DINKAR",
    "ESHVAN",
    "GAURIK",
    "HARVEN",
)
SECTORS: Final = (
    ("CHEMICALS", ("CHEM", "DYES", "POLY", "FERT")),
    ("STEEL", ("STL", "ISPAT", "METL", "ALLOY")),
    ("PHARMA", ("PHRM", "LABS", "LIFE", "CURE")),
    ("FINANCE", ("FIN", "CAPTL", "CRED", "LEND")),
    ("SOFTWARE", ("SOFT", "INFO", "DATA", "TECH")),
    ("MOTORS", ("AUTO", "MOTR", "GEAR", "TYRE")),
    ("POWER", ("POWR", "GRID", "SOLR", "HYDRO")),
    ("CEMENT", ("CEM", "BUILD", "TILE", "INFRA")),
    ("FOODS", ("FOOD", "AGRO", "TEA", "DAIRY")),
    ("TEXTILES", ("TEX", "SPIN", "YARN", "KNIT")),
    ("ENGINEERING", ("ENGG", "TOOL", "PUMP", "VALV")),
    ("LOGISTICS", ("LOGI", "SHIP", "PORT", "CARGO")),
)
INDUSTRIES: Final[Mapping[str, str]] = {
    "CHEM": "Commodity Chemicals", "DYES": "Dyes and Pigments", "POLY": "Polymers", "FERT": "Fertilizers",
    "STL": "Iron and Steel", "ISPAT": "Sponge Iron", "METL": "Metal Products", "ALLOY": "Ferro Alloys",
    "PHRM": "Medicines", "LABS": "Contract Research", "LIFE": "Biotechnology", "CURE": "Hospitals",
    "FIN": "Consumer Finance", "CAPTL": "Capital Markets", "CRED": "Microfinance", "LEND": "Housing Finance",
    "SOFT": "Software Products", "INFO": "IT Services", "DATA": "Data Centres", "TECH": "Business Services",
    "AUTO": "Cars", "MOTR": "Two Wheelers", "GEAR": "Auto Components", "TYRE": "Tyres",
    "POWR": "Power Generation", "GRID": "Power Transmission", "SOLR": "Solar Power", "HYDRO": "Hydropower",
    "CEM": "Cement Products", "BUILD": "Construction", "TILE": "Tiles and Ceramics", "INFRA": "Roads",
    "FOOD": "Packaged Foods", "AGRO": "Edible Oils", "TEA": "Tea and Coffee", "DAIRY": "Dairy Products",
    "TEX": "Fabrics", "SPIN": "Spinning Mills", "YARN": "Yarns", "KNIT": "Garments",
    "ENGG": "Industrial Machines", "TOOL": "Machine Tools", "PUMP": "Pumps", "VALV": "Valves",
    "LOGI": "Warehousing", "SHIP": "Shipping", "PORT": "Ports", "CARGO": "Road Transport",
}  # fmt: skip
OTHER_SERIES: Final = ("SG", "N0", "SM", "BE", "GS", "N1", "TB", "ST", "GB", "BZ")
NEWCOMER_SUFFIX: Final = "X"


def sector_of(number: int) -> int:
    """Returns the index into SECTORS of the company `number`."""
    return number % len(SECTORS)


def sector_from_name(name: str) -> str | None:
    """Returns the sector that a company's name ends with, such as `Chemicals`; None for any other name."""
    last = name.rpartition(" ")[2].rstrip("0123456789")
    return last.title() if any(last == sector for sector, _ in SECTORS) else None


def industry_from_name(name: str) -> str | None:
    """Returns the industry that the word before the sector stands for; None for a name without one."""
    words = name.split()
    return INDUSTRIES.get(words[-2]) if len(words) > 1 and sector_from_name(name) else None


def company(number: int) -> tuple[str, str]:
    """Returns symbol and name of the company `number` >= 0; no two numbers share a symbol."""
    sector_name, suffixes = SECTORS[sector_of(number)]
    rest, turn = divmod(number // len(SECTORS), len(NAME_STEMS))
    stem = (turn * 17 + sector_of(number) * 11) % len(NAME_STEMS)
    generation, suffix = divmod(rest, len(suffixes))
    suffix = (suffix + turn) % len(suffixes)
    tail = str(generation) if generation else ""
    return (
        f"{NAME_STEMS[stem]}{suffixes[suffix]}{tail}",
        f"{NAME_STEMS[stem]} {suffixes[suffix]} {sector_name}{tail}".strip(),
    )


def newcomer(number: int) -> tuple[str, str]:
    """Returns symbol and name of the `number`-th company to be listed; never one of `company`."""
    symbol, name = company(number)
    return f"{symbol}{NEWCOMER_SUFFIX}", f"NEW {name}"


def other_series(number: int) -> tuple[str, str]:
    """Returns symbol and name of a line that is no plain equity: a bond, a bill, trade-for-trade, an SME."""
    symbol, name = company(number)
    series = OTHER_SERIES[number % len(OTHER_SERIES)]
    return f"{symbol[:6]}{number}-{series}", f"{name} {series}"
