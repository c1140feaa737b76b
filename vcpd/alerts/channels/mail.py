"""E-mail channel (SMTP)."""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from http import HTTPStatus
from typing import Final

import aiosmtplib
import structlog

from vcpd.alerts.channels.base import ChannelPlugin, ChannelRequest
from vcpd.alerts.settings import MailSettings
from vcpd.alerts.templates import AlertMessage
from vcpd.core.errors import PermanentError, RetryableError, VcpdError
from vcpd.core.secrets import Secret

DEFAULT_PORTS: Final = {"starttls": 587, "tls": 465, "plain": 25}
MIN_PERMANENT_CODE: Final = HTTPStatus.INTERNAL_SERVER_ERROR  # 500, in SMTP the first code that will not pass
log = structlog.get_logger("vcpd.alerts")


@dataclass(frozen=True, slots=True)
class MailChannel:
    """Implements `Channel`. The key is part of the Message-ID, by which mailboxes recognise a repetition."""

    settings: MailSettings
    password: Secret | None
    timeout_s: float
    name: str = "mail"

    @property
    def is_noop(self) -> bool:
        return not (self.settings.host and self.settings.to)

    @property
    def missing(self) -> str | None:
        settings = self.settings
        if not (settings.host or settings.to or self.password):
            return None
        needed = {
            "[alerts.mail] host": settings.host,
            "[alerts.mail] to": settings.to,
            "[alerts.mail] sender or user": settings.sender or settings.user,
            "the secret alerts_mail_password": self.password or not settings.user,
        }
        return " and ".join(name for name, value in needed.items() if not value) or None

    async def send(self, message: AlertMessage) -> None:
        settings = self.settings
        try:
            refused, _ = await aiosmtplib.send(
                self.build_email(message),
                hostname=settings.host,
                port=settings.port or DEFAULT_PORTS[settings.security],
                use_tls=settings.security == "tls",
                start_tls=settings.security == "starttls",
                username=settings.user or None,
                password=self.password.reveal() if self.password and settings.user else None,
                timeout=self.timeout_s,
            )
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise _to_error(error) from None
        if refused:
            log.warning("alerts.mail_rejected", addresses=len(refused), of=len(settings.to))

    def build_email(self, message: AlertMessage) -> EmailMessage:
        """The message as mail; the picture is attached."""
        sender = self.settings.sender or self.settings.user
        email = EmailMessage()
        email["From"] = sender
        email["To"] = ", ".join(self.settings.to)
        email["Subject"] = message.title
        email["Date"] = format_datetime(message.at)
        email["Message-ID"] = f"<{message.key}@{sender.rpartition('@')[2] or 'vcpd'}>"
        email.set_content(message.body or message.title)
        if message.image is not None:
            email.add_attachment(message.image, maintype="image", subtype="png", filename="setups.png")
        return email


def _to_error(error: Exception) -> VcpdError:
    """Chooses the error by the server's code; without an answer a retry may succeed."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return _error_from_codes(recipient.code for recipient in error.recipients)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _error_from_codes([error.code])
    if isinstance(error, aiosmtplib.SMTPNotSupported) or type(error) is aiosmtplib.SMTPException:
        return PermanentError("the server does not support what [alerts.mail] security or user requires")
    if any(isinstance(exception, ssl.SSLCertVerificationError) for exception in (error, error.__cause__)):
        return RetryableError("the mail server's certificate is not valid")
    words = getattr(error, "strerror", None) or type(error).__name__
    return RetryableError(f"the mail server cannot be reached: {words}")


def _error_from_codes(codes: Iterable[int]) -> VcpdError:
    lowest = min(codes)
    words = f"the mail server answers {lowest}"
    return PermanentError(words) if lowest >= MIN_PERMANENT_CODE else RetryableError(words)


def _create(request: ChannelRequest) -> tuple[MailChannel]:
    return (MailChannel(request.settings, request.secrets[PASSWORD_SECRET], request.http.timeout_s),)


PASSWORD_SECRET: Final = "alerts_mail_password"  # noqa: S105 - the name of a secret
PLUGIN: Final = ChannelPlugin(MailSettings, _create, (PASSWORD_SECRET,))
