"""NSE cash market: holidays, special sessions, regular hours."""

from datetime import date, time
from typing import Final

from vcpd.domain.calendar import RegularHours, SessionPhase, SpecialSession, TradingCalendar

# Weekdays only: what falls on a weekend changes nothing.
HOLIDAYS: Final = """
2016-01-26 Republic Day
2016-03-07 Mahashivratri
2016-03-24 Holi
2016-03-25 Good Friday
2016-04-14 Ambedkar Jayanti
2016-04-15 Ram Navami
2016-04-19 Mahavir Jayanti
2016-07-06 Id-ul-Fitr
2016-08-15 Independence Day
2016-09-05 Ganesh Chaturthi
2016-09-13 Bakri Id
2016-10-11 Dussehra
2016-10-12 Muharram
2016-10-31 Diwali Balipratipada
2016-11-14 Guru Nanak Jayanti
2017-01-26 Republic Day
2017-02-24 Mahashivratri
2017-03-13 Holi
2017-04-04 Ram Navami
2017-04-14 Good Friday, Ambedkar Jayanti
2017-05-01 Maharashtra Day
2017-06-26 Id-ul-Fitr
2017-08-15 Independence Day
2017-08-25 Ganesh Chaturthi
2017-10-02 Gandhi Jayanti
2017-10-19 Diwali Laxmi Pujan
2017-10-20 Diwali Balipratipada
2017-12-25 Christmas
2018-01-26 Republic Day
2018-02-13 Mahashivratri
2018-03-02 Holi
2018-03-29 Mahavir Jayanti
2018-03-30 Good Friday
2018-05-01 Maharashtra Day
2018-08-15 Independence Day
2018-08-22 Bakri Id
2018-09-13 Ganesh Chaturthi
2018-09-20 Muharram
2018-10-02 Gandhi Jayanti
2018-10-18 Dussehra
2018-11-07 Diwali Laxmi Pujan
2018-11-08 Diwali Balipratipada
2018-11-23 Guru Nanak Jayanti
2018-12-25 Christmas
2019-03-04 Mahashivratri
2019-03-21 Holi
2019-04-17 Mahavir Jayanti
2019-04-19 Good Friday
2019-04-29 general election
2019-05-01 Maharashtra Day
2019-06-05 Id-ul-Fitr
2019-08-12 Bakri Id
2019-08-15 Independence Day
2019-09-02 Ganesh Chaturthi
2019-09-10 Muharram
2019-10-02 Gandhi Jayanti
2019-10-08 Dussehra
2019-10-21 Maharashtra assembly election
2019-10-28 Diwali Balipratipada
2019-11-12 Guru Nanak Jayanti
2019-12-25 Christmas
2020-02-21 Mahashivratri
2020-03-10 Holi
2020-04-02 Ram Navami
2020-04-06 Mahavir Jayanti
2020-04-10 Good Friday
2020-04-14 Ambedkar Jayanti
2020-05-01 Maharashtra Day
2020-05-25 Id-ul-Fitr
2020-10-02 Gandhi Jayanti
2020-11-16 Diwali Balipratipada
2020-11-30 Guru Nanak Jayanti
2020-12-25 Christmas
2021-01-26 Republic Day
2021-03-11 Mahashivratri
2021-03-29 Holi
2021-04-02 Good Friday
2021-04-14 Ambedkar Jayanti
2021-04-21 Ram Navami
2021-05-13 Id-ul-Fitr
2021-07-21 Bakri Id
2021-08-19 Muharram
2021-09-10 Ganesh Chaturthi
2021-10-15 Dussehra
2021-11-04 Diwali Laxmi Pujan
2021-11-05 Diwali Balipratipada
2021-11-19 Guru Nanak Jayanti
2022-01-26 Republic Day
2022-03-01 Mahashivratri
2022-03-18 Holi
2022-04-14 Ambedkar Jayanti
2022-04-15 Good Friday
2022-05-03 Id-ul-Fitr
2022-08-09 Muharram
2022-08-15 Independence Day
2022-08-31 Ganesh Chaturthi
2022-10-05 Dussehra
2022-10-24 Diwali Laxmi Pujan
2022-10-26 Diwali Balipratipada
2022-11-08 Guru Nanak Jayanti
2023-01-26 Republic Day
2023-03-07 Holi
2023-03-30 Ram Navami
2023-04-04 Mahavir Jayanti
2023-04-07 Good Friday
2023-04-14 Ambedkar Jayanti
2023-05-01 Maharashtra Day
2023-06-29 Bakri Id
2023-08-15 Independence Day
2023-09-19 Ganesh Chaturthi
2023-10-02 Gandhi Jayanti
2023-10-24 Dussehra
2023-11-14 Diwali Balipratipada
2023-11-27 Guru Nanak Jayanti
2023-12-25 Christmas
2024-01-22 Ayodhya consecration
2024-01-26 Republic Day
2024-03-08 Mahashivratri
2024-03-25 Holi
2024-03-29 Good Friday
2024-04-11 Id-ul-Fitr
2024-04-17 Ram Navami
2024-05-01 Maharashtra Day
2024-05-20 general election
2024-06-17 Bakri Id
2024-07-17 Muharram
2024-08-15 Independence Day
2024-10-02 Gandhi Jayanti
2024-11-01 Diwali Laxmi Pujan
2024-11-15 Guru Nanak Jayanti
2024-11-20 Maharashtra assembly election
2024-12-25 Christmas
2025-02-26 Mahashivratri
2025-03-14 Holi
2025-03-31 Id-ul-Fitr
2025-04-10 Mahavir Jayanti
2025-04-14 Ambedkar Jayanti
2025-04-18 Good Friday
2025-05-01 Maharashtra Day
2025-08-15 Independence Day
2025-08-27 Ganesh Chaturthi
2025-10-02 Gandhi Jayanti, Dussehra
2025-10-21 Diwali Laxmi Pujan
2025-10-22 Diwali Balipratipada
2025-11-05 Guru Nanak Jayanti
2025-12-25 Christmas
2026-01-15 Maharashtra municipal elections
2026-01-26 Republic Day
2026-03-03 Holi
2026-03-26 Ram Navami
2026-03-31 Mahavir Jayanti
2026-04-03 Good Friday
2026-04-14 Ambedkar Jayanti
2026-05-01 Maharashtra Day
2026-05-28 Bakri Id
2026-06-26 Muharram
2026-09-14 Ganesh Chaturthi
2026-10-02 Gandhi Jayanti
2026-10-20 Dussehra
2026-11-10 Diwali Balipratipada
2026-11-24 Guru Nanak Jayanti
2026-12-25 Christmas
"""
# Date, hours in one or two parts, occasion.
SPECIAL_SESSIONS: Final = """
2016-10-30 18:30-19:30 Muhurat
2017-10-19 18:30-19:30 Muhurat
2018-11-07 17:30-18:30 Muhurat
2019-10-27 18:15-19:15 Muhurat
2020-02-01 09:15-15:30 Union Budget
2020-11-14 18:15-19:15 Muhurat
2021-02-24 09:15-11:40,15:45-17:00 hours extended after an outage
2021-11-04 18:15-19:15 Muhurat
2022-10-24 18:15-19:15 Muhurat
2023-11-12 18:15-19:15 Muhurat
2024-01-20 09:15-15:30 moved from the following Monday
2024-03-02 09:15-10:00,11:30-12:30 disaster recovery drill
2024-05-18 09:15-10:00,11:45-12:40 disaster recovery drill
2024-11-01 18:00-19:00 Muhurat
2025-02-01 09:15-15:30 Union Budget
2025-10-21 13:45-14:45 Muhurat
2026-02-01 09:15-15:30 Union Budget
2026-11-08 18:00-19:00 Muhurat, hours assumed
"""
PRE_OPEN: Final = SessionPhase("pre-open", time(9), time(9, 15))
REGULAR_HOURS: Final = (
    RegularHours(
        since=date(2010, 10, 18),
        opens=time(9, 15),
        closes=time(15, 30),
        phases=(
            PRE_OPEN,
            SessionPhase("continuous", time(9, 15), time(15, 30)),
            SessionPhase("post-close", time(15, 40), time(16)),
        ),
    ),
    RegularHours(
        since=date(2026, 8, 3),
        opens=time(9, 15),
        closes=time(15, 30),
        phases=(
            PRE_OPEN,
            SessionPhase("continuous", time(9, 15), time(15, 15), shares="F&O"),
            SessionPhase("continuous", time(9, 15), time(15, 30), shares="other"),
            SessionPhase("closing auction", time(15, 15), time(15, 35), shares="F&O"),
            SessionPhase("post-close", time(15, 35), time(16)),
        ),
    ),
)


def _holidays(table: str) -> dict[date, str]:
    rows = (line.split(maxsplit=1) for line in table.strip().splitlines())
    return {date.fromisoformat(day): name for day, name in rows}


def _special_sessions(table: str) -> dict[date, SpecialSession]:
    found = (_special_session(line) for line in table.strip().splitlines())
    return {special.session: special for special in found}


def _special_session(line: str) -> SpecialSession:
    day, hours, name = line.split(maxsplit=2)
    parts = [[time.fromisoformat(end) for end in part.split("-")] for part in hours.split(",")]
    phases = tuple(SessionPhase("continuous", opens, closes) for opens, closes in parts)
    return SpecialSession(date.fromisoformat(day), parts[0][0], parts[-1][1], name, phases)


NSE: Final = TradingCalendar(
    name="NSE",
    time_zone="Asia/Kolkata",
    valid_from=date(2016, 1, 1),
    valid_until=date(2026, 12, 31),
    holidays=_holidays(HOLIDAYS),
    special_sessions=_special_sessions(SPECIAL_SESSIONS),
    regular_hours=REGULAR_HOURS,
)
