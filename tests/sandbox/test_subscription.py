"""A client of the live feed follows what it asked for, is told news once, and never too much."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcpd.domain.bars import RecordArray
from vcpd.kite.ticker_protocol import MODES, TICK_DTYPE, TickerMode, set_mode, subscribe, unsubscribe
from vcpd.sandbox.ticker import CommandError, Subscription


def reported(tokens: list[int], price: float = 10.0) -> RecordArray:
    """Ticks of these tokens, all at one price."""
    records = np.zeros(len(tokens), TICK_DTYPE)
    records["token"], records["last_price"] = tokens, price
    return records


def modes_of(followed: Subscription) -> dict[int, TickerMode]:
    ticks = followed.mark_sent(reported(followed.tokens.tolist()))
    return {int(tick["token"]): MODES[tick["mode"]] for tick in ticks}


TOKENS = st.lists(st.integers(1, 12), max_size=6)
COMMANDS = st.one_of(
    st.tuples(st.just("subscribe"), TOKENS),
    st.tuples(st.just("unsubscribe"), TOKENS),
    st.tuples(st.sampled_from(MODES), TOKENS),
)


@given(st.lists(COMMANDS, max_size=12))
@settings(max_examples=150, deadline=None)
def test_any_commands_leave_what_a_dictionary_would(commands: list[tuple[str, list[int]]]) -> None:
    """New tokens come in mode quote, a mode changes only what is followed, what is left is forgotten."""
    followed, model = Subscription(100), dict[int, TickerMode]()
    for action, tokens in commands:
        match action:
            case "subscribe":
                followed.apply_command(subscribe(tokens))
                model |= {token: TickerMode.QUOTE for token in tokens if token not in model}
            case "unsubscribe":
                followed.apply_command(unsubscribe(tokens))
                model = {token: mode for token, mode in model.items() if token not in tokens}
            case _:
                followed.apply_command(set_mode(TickerMode(action), tokens))
                model |= {token: TickerMode(action) for token in tokens if token in model}
        assert modes_of(followed) == model
        assert followed.tokens.tolist() == sorted(model)


def test_first_packets_wait_once() -> None:
    """A token waits after its subscription and after each change of mode, not after it was taken."""
    followed = Subscription(10)
    followed.apply_command(subscribe([3, 1]))
    assert followed.take_unsent().tolist() == [1, 3]
    assert followed.take_unsent().tolist() == []
    followed.apply_command(subscribe([1, 2]))
    followed.apply_command(set_mode(TickerMode.FULL, [3, 9]))
    assert followed.take_unsent().tolist() == [2, 3]


def test_a_change_is_sent_once() -> None:
    """A tick is news until it is told, and again when price or volume has changed."""
    followed = Subscription(10)
    followed.apply_command(subscribe([1, 2]))
    assert len(followed.changed_since_sent(reported([1, 2]))) == 2
    followed.mark_sent(reported([1]))
    assert followed.changed_since_sent(reported([1, 2]))["token"].tolist() == [2]
    assert followed.changed_since_sent(reported([1], price=11.0))["token"].tolist() == [1]


def test_one_too_many_is_refused_whole() -> None:
    """The command beyond the limit changes nothing; the same tokens again are no more than before."""
    followed = Subscription(3)
    followed.apply_command(subscribe([1, 2, 3]))
    with pytest.raises(CommandError, match="at most 3"):
        followed.apply_command(subscribe([4]))
    followed.apply_command(subscribe([3, 2, 1]))
    assert len(followed) == 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"a":"dance","v":[1]}',
        '{"a":"subscribe","v":"1"}',
        '{"a":"mode","v":["loud",[1]]}',
        '{"a":"subscribe","v":[99999999999999999999]}',
    ],
)
def test_nonsense_is_answered_with_words(text: str) -> None:
    """Whatever a client writes: obeyed or a CommandError."""
    with pytest.raises(CommandError):
        Subscription(3).apply_command(text)
