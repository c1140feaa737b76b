"""Secrets stay out of every record: by value, by the name of their key, by their place in a text."""

import re
from collections.abc import Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import quote, quote_plus

from vcpd.domain.secrets import MASK, Secret

LEAST_LENGTH: Final = 4  # a shorter value would blacken ordinary words
_SECRET_WORDS: Final = frozenset(
    {"token", "secret", "password", "passwd", "authorization", "checksum", "cookie"}
)
_HARMLESS_KEYS: Final = frozenset({"instrument_token", "exchange_token"})  # numbers of the exchange's list
_WORDS: Final = re.compile(r"[A-Za-z][a-z]*|[A-Z]+")
_URL_PASSWORD: Final = re.compile(r"(?<=://)([^\s:/@]*):([^\s@]+)@")
_AUTHORIZATION: Final = re.compile(r"(?i)\b(authorization\W{1,5})[^'\"\r\n,}]+")
_NAMED: Final = re.compile(
    r"(?i)\b((?!instrument_|exchange_)[\w-]*(?:token|secret|password|passwd|checksum)"
    r"['\"]?\s*[=:]\s*['\"]?)(?!\s)([^\s'\"&,;}\])]+)"
)


class Masker:
    """Knows the secrets of this process; a structlog processor."""

    def __init__(self, *secrets: Secret) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.register(*secrets)

    def register(self, *secrets: Secret) -> None:
        """Mask these values too, from now on; also as they look inside a URL."""
        for secret in secrets:
            value = secret.reveal()
            if len(value) >= LEAST_LENGTH:
                self._values |= {value, quote(value, safe=""), quote_plus(value), repr(value)[1:-1]}
        longest_first = sorted(self._values, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        """The text without any known secret, password in a URL, or value beside a secret's name."""
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        text = _URL_PASSWORD.sub(rf"\1:{MASK}@", text)
        text = _AUTHORIZATION.sub(rf"\1{MASK}", text)
        return _NAMED.sub(rf"\1{MASK}", text)

    def value(self, key: str, value: Any) -> Any:
        """The value as it may be shown under this key: plain data, every text masked."""
        if is_secret_key(key) and isinstance(value, str | bytes | Secret):
            return MASK
        match value:
            case None | bool() | int() | float():
                return value
            case str():
                return self.text(value)
            case Mapping():
                return {self.text(str(name)): self.value(str(name), one) for name, one in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self.value(key, one) for one in value]
        return self.text(str(value) if isinstance(value, BaseException) else repr(value))

    def __call__(
        self, _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        for key, value in list(event.items()):
            if not key.startswith("_"):  # structlog's own, removed before rendering
                event[key] = self.value(key, value)
        return event


def is_secret_key(key: str) -> bool:
    """Whether a key's name says that its value is secret: `access_token`, `apiSecret`, `X-Checksum`."""
    if key.lower() in _HARMLESS_KEYS:
        return False
    return any(word.lower() in _SECRET_WORDS for word in _WORDS.findall(key))
