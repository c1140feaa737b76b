"""The owner's way through the market's login, after which what had failed for want of it is made up for."""

from dataclasses import dataclass

from vcpd.app.market import MarketSession
from vcpd.domain.secrets import Secret
from vcpd.kite.auth import KiteSession
from vcpd.schedule.scheduler import Scheduler


@dataclass(frozen=True, slots=True)
class LoginDoor:
    """Implements the web room's Login."""

    session: KiteSession
    scheduler: Scheduler

    def url(self) -> str:
        return self.session.url()

    async def complete(self, request_token: Secret, state: str) -> None:
        await self.session.complete(request_token, state)
        self.scheduler.make_up()


def login_door(session: MarketSession, scheduler: Scheduler) -> LoginDoor | None:
    """The owner's way in, None where the market needs no login."""
    return LoginDoor(session, scheduler) if isinstance(session, KiteSession) else None
