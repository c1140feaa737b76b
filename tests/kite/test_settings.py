"""Settings: what an owner may write, and that each says what it is for."""

from typing import get_args, get_type_hints

import msgspec
import pytest

from vcpd.kite.settings import KiteSettings, LimitSettings


@pytest.mark.parametrize("kind", [KiteSettings, LimitSettings])
def test_every_setting_is_described(kind: type[msgspec.Struct]) -> None:
    """The documentation is made from these."""
    hints = get_type_hints(kind, include_extras=True)
    for name in kind.__struct_fields__:
        hint = hints[name]
        descriptions = [meta.description for meta in get_args(hint)[1:] if isinstance(meta, msgspec.Meta)]
        assert any(descriptions), name


@pytest.mark.parametrize(
    "given",
    [
        {"api_root": "kite.trade"},
        {"max_attempts": 0},
        {"max_attempts": "5"},
        {"timeout_s": 0},
        {"api_key": "a key"},
        {"secret": "x"},
        {"api_root": "http://api.kite.trade"},
        {"ticker_root": "ws://ws.kite.trade"},
        {"api_root": "http://127.0.0.1.evil.example"},
    ],
)
def test_impossible_settings_are_refused(given: dict[str, object]) -> None:
    """Also a secret where only the public half belongs."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(given, KiteSettings)


@pytest.mark.parametrize("given", [{"quote_per_s": 0}, {"historical_per_s": -1}, {"margin_pct": 51}])
def test_impossible_limits_are_refused(given: dict[str, object]) -> None:
    """A rate of nothing would wait for ever."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(given, LimitSettings)
