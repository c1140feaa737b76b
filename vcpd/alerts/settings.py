"""Settings of alerts and channels, how alerts are batched, quiet hours."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any, ClassVar, Final, Literal, Self
from zoneinfo import ZoneInfo

import msgspec

from vcpd.alerts.templates import Templates
from vcpd.domain.alerts import Alert, AlertKind
from vcpd.plugins import CHANNEL_GROUP, PluginTables

ClockTime = Annotated[str, msgspec.Meta(pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?$")]
UrlText = Annotated[str, msgspec.Meta(pattern=r"^(https?://\S+)?$")]


BUILT_IN_CHANNELS = ("apprise", "mail", "ntfy", "ping", "telegram", "webhook")  # with tables [alerts.NAME]


class ChannelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings that every channel has."""

    kinds: Annotated[
        tuple[AlertKind, ...],
        msgspec.Meta(description="only these kinds, such as `breakout`, `setups`; empty: all but good_night"),
    ] = ()
    min_rating: Annotated[
        int, msgspec.Meta(ge=0, le=99, description="no setups of a lower relative strength rating")
    ] = 0
    min_score: Annotated[float, msgspec.Meta(ge=0, le=100, description="no setups of a lower score")] = 0.0
    per_minute: Annotated[
        int, msgspec.Meta(ge=1, le=600, description="messages per minute at most; further messages wait")
    ] = 20
    quiet_hours: Annotated[bool, msgspec.Meta(description="observe the quiet hours of [alerts]")] = True
    digest_above: Annotated[
        int,
        msgspec.Meta(
            ge=0, le=100, description="more alerts than this at once are sent as one digest; 0: never"
        ),
    ] = 4
    attach_chart: Annotated[bool, msgspec.Meta(description="attach a chart of the best new setups")] = True


class TelegramSettings(ChannelSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A Telegram bot; on when `chat_id` is set. Secret: `alerts_telegram_token`."""

    chat_id: Annotated[str, msgspec.Meta(description="the chat's number, or `@channel`")] = ""
    api_root: Annotated[UrlText, msgspec.Meta(description="another Bot API server")] = (
        "https://api.telegram.org"
    )


class NtfySettings(ChannelSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An ntfy topic; on when `topic` is set. Secret, where the topic is protected: `alerts_ntfy_token`."""

    topic: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^[-_A-Za-z0-9]{0,64}$", description="topic name; who knows it can read the messages"
        ),
    ] = ""
    server: Annotated[UrlText, msgspec.Meta(description="ntfy.sh, or a server of your own")] = (
        "https://ntfy.sh"
    )


class WebhookSettings(ChannelSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A POST of JSON; on with `url`, or the secret `alerts_webhook_url`. `alerts_webhook_secret` signs."""

    url: Annotated[UrlText, msgspec.Meta(description="URL that receives each message by POST")] = ""
    per_minute: Annotated[
        int, msgspec.Meta(ge=1, le=6000, description="messages per minute at most; further messages wait")
    ] = 300
    quiet_hours: Annotated[bool, msgspec.Meta(description="observe the quiet hours of [alerts]")] = False
    digest_above: Annotated[
        int,
        msgspec.Meta(
            ge=0, le=100, description="more alerts than this at once are sent as one digest; 0: never"
        ),
    ] = 0
    attach_chart: Annotated[bool, msgspec.Meta(description="include the chart in the JSON, base64")] = False


MAIL_HOST: Final = re.compile(r"[\w.-]*|[0-9a-fA-F.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*")  # or an IPv6 address


class MailSettings(ChannelSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """E-mail by SMTP; on when `host` and `to` are set. Secret: `alerts_mail_password`."""

    host: Annotated[str, msgspec.Meta(description="the mail server")] = ""
    port: Annotated[
        int, msgspec.Meta(ge=0, le=65535, description="0: 587 for starttls, 465 for tls, 25 for plain")
    ] = 0
    security: Annotated[
        Literal["starttls", "tls", "plain"],
        msgspec.Meta(description="`starttls`, `tls` from the first byte, or `plain` (trusted networks only)"),
    ] = "starttls"
    user: Annotated[str, msgspec.Meta(description="user name at the server; empty: no login")] = ""
    sender: Annotated[str, msgspec.Meta(description="the From address; empty: the user")] = ""
    to: Annotated[tuple[str, ...], msgspec.Meta(description="the addresses that get the mail")] = ()

    def __post_init__(self) -> None:
        if not MAIL_HOST.fullmatch(self.host):
            raise ValueError(
                "host: expected a host name such as smtp.example.org, without scheme and port "
                f"(the port is a setting of its own), was {self.host!r}"
            )


class AppriseSettings(ChannelSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Any service that apprise knows, one for each line of the secret `alerts_apprise_urls`."""


class PingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A dead man's switch, requested (GET) after each completed session. Secret: `alerts_ping_url`."""

    enabled: Annotated[bool, msgspec.Meta(description="ping when the secret is present")] = True


class AlertSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which alerts are sent, and when; a channel is on as soon as its destination is set."""

    reloadable: ClassVar[bool] = True

    quiet_from: Annotated[
        ClockTime,
        msgspec.Meta(description="start of the quiet hours, in exchange time: `22:30`; empty: none"),
    ] = ""
    quiet_to: Annotated[
        ClockTime, msgspec.Meta(description="end of the quiet hours; held alerts are then sent")
    ] = ""
    expire_after_h: Annotated[
        float, msgspec.Meta(gt=0, le=24 * 30, description="older alerts are dropped, not sent")
    ] = 36.0
    timeout_s: Annotated[
        float, msgspec.Meta(gt=0, le=120, description="time limit of one delivery attempt")
    ] = 10.0
    backoff_s: Annotated[
        float,
        msgspec.Meta(
            gt=0, le=600, description="pause after the first failed attempt; doubles with each attempt"
        ),
    ] = 5.0
    backoff_max_s: Annotated[
        float, msgspec.Meta(gt=0, le=86_400, description="the longest pause between attempts")
    ] = 900.0
    health_threshold: Annotated[
        int, msgspec.Meta(ge=0, le=100, description="alert when the health score is below this; 0: never")
    ] = 60
    health_recovery: Annotated[
        int,
        msgspec.Meta(
            ge=0, le=50, description="points above `health_threshold` at which health counts as recovered"
        ),
    ] = 10
    condition_min_duration_min: Annotated[
        float,
        msgspec.Meta(
            ge=0, le=600, description="minutes that low health or stale bars must last before an alert"
        ),
    ] = 10.0
    login_before_close_min: Annotated[
        int, msgspec.Meta(ge=0, le=600, description="a login still due this long before the close is overdue")
    ] = 60
    digest_charts: Annotated[
        int, msgspec.Meta(ge=0, le=6, description="setups drawn in the chart of a digest")
    ] = 4
    telegram: TelegramSettings = TelegramSettings()
    ntfy: NtfySettings = NtfySettings()
    webhook: WebhookSettings = WebhookSettings()
    mail: MailSettings = MailSettings()
    apprise: AppriseSettings = AppriseSettings()
    ping: PingSettings = PingSettings()
    channels: Annotated[
        Mapping[str, Any],
        PluginTables(CHANNEL_GROUP, "channel", elsewhere=BUILT_IN_CHANNELS),
        msgspec.Meta(description="one table per channel plug-in that is no part of vcpd"),
    ] = msgspec.field(default_factory=dict)
    templates: Templates = Templates()

    def __post_init__(self) -> None:
        if bool(self.quiet_from) != bool(self.quiet_to):
            raise ValueError("expected both quiet_from and quiet_to, or neither")
        if self.backoff_max_s < self.backoff_s:
            raise ValueError("expected backoff_max_s to be at least backoff_s")


DEADMAN_KINDS: Final = frozenset({AlertKind.SESSION_COMPLETE})
DEADMAN_CHANNEL_SETTINGS: Final = ChannelSettings(
    kinds=tuple(DEADMAN_KINDS), quiet_hours=False, attach_chart=False
)


def batches(alerts: Sequence[Alert], most_apart: int) -> list[list[Alert]]:
    """One by one, or where there are more than `most_apart` (0: no limit) together; digests stay apart."""
    apart = [[alert] for alert in alerts if alert.items]
    single = [alert for alert in alerts if not alert.items]
    if most_apart and len(single) > most_apart:
        return [single, *apart]
    return [[alert] for alert in single] + apart


@dataclass(frozen=True, slots=True)
class QuietHours:
    """[begins, ends) of each day in `zone`; none where both are the same."""

    start: time
    end: time
    zone: ZoneInfo

    @classmethod
    def of(cls, settings: AlertSettings, zone: ZoneInfo) -> Self:
        def clock_time(text: str) -> time:
            return time.fromisoformat(text or "00:00")

        return cls(clock_time(settings.quiet_from), clock_time(settings.quiet_to), zone)

    def until(self, now: datetime) -> datetime | None:
        """When the quiet hours that hold at `now` end, aware UTC; None outside of them."""
        local = now.astimezone(self.zone)
        if not self._contains(local.time()):
            return None
        day = local.date()
        if local.time() >= self.end:
            day += timedelta(days=1)
        return datetime.combine(day, self.end, self.zone).astimezone(UTC)

    def _contains(self, at: time) -> bool:
        if self.start <= self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end
