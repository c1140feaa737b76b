"""The login of a market that needs none, in the form that /status shows."""

from enum import StrEnum

from msgspec import Struct


class LoginState(StrEnum):
    """There is only one."""

    NOT_NEEDED = "not_needed"


class LoginStatus(Struct, frozen=True):
    """The login for /status."""

    state: LoginState = LoginState.NOT_NEEDED
    reason: str = ""

    @property
    def login_due(self) -> bool:
        return False


class OpenSession:
    """A session that is always there."""

    def status(self) -> LoginStatus:
        return LoginStatus()
