"""The market's login as the port offers it: its address, and what happens once it is done."""

from dataclasses import dataclass

from vcpd.app.market import MarketSession
from vcpd.core.secrets import Secret
from vcpd.domain.runs import RunCause
from vcpd.kite.auth import KiteSession
from vcpd.schedule.scheduler import Scheduler


@dataclass(frozen=True, slots=True)
class LoginFlow:
    """Implements `web.context.Login`."""

    session: KiteSession
    scheduler: Scheduler

    def url(self) -> str:
        return self.session.login_url()

    async def complete(self, request_token: Secret, state: str) -> None:
        await self.session.complete_login(request_token, state)
        self.scheduler.retry_failed(RunCause.LOGIN)


def build_login_flow(session: MarketSession, scheduler: Scheduler) -> LoginFlow | None:
    """The login, None where the market needs no login."""
    return LoginFlow(session, scheduler) if isinstance(session, KiteSession) else None
