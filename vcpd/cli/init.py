"""`vcpd init`: asks five questions, writes a short configuration, and checks it as `vcpd doctor` does.

The file holds only what differs from the defaults, so that these may change with a release.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from vcpd.cli.command import LOCAL_CONFIG_PATH, add_config_argument, set_action
from vcpd.cli.config import toml_value
from vcpd.cli.doctor import doctor
from vcpd.config import Configuration, load_configuration
from vcpd.core.atomic_file import write_atomic
from vcpd.core.errors import BadInputError, ConfigurationError, UnavailableError

Values = Mapping[str, Any]  # settings by their dotted paths
FILE_MODE: Final = 0o600
EVENING_JOB: Final = "screen"
CHANNEL_SETTINGS: Final = {"ntfy": "topic", "telegram": "chat_id", "webhook": "url"}
HEADER: Final = (
    "# Written by `vcpd init`. Every other setting has its default: `vcpd show-config --defaults`.\n"
)


class Question(NamedTuple):
    """A question, the answers that it takes, and the settings that an answer means.

    `read` raises BadInputError for an answer of another form; an empty answer is the default.
    """

    text: str
    answers: str
    read: Callable[[str], Values]


def add_init_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, initialize, "vcpd init\nvcpd init --config /etc/vcpd/config.toml")
    add_config_argument(parser)


def initialize(arguments: argparse.Namespace) -> int:
    """Exit code 1 where the check finds a problem; the file stays. BadInputError where one is there."""
    path = arguments.config or LOCAL_CONFIG_PATH
    if path.exists():
        raise BadInputError(f"{path} exists already: edit it, or name another file with --config")
    values: Values = {}
    for number, question in enumerate(QUESTIONS, 1):
        print(f"\n{number}. {question.text}\n   {question.answers}")
        values = _answered(question, values)
    _write(path, configuration_text(values))
    print(f"\n{path} is written. The checks of `vcpd doctor`:\n")
    code = doctor(argparse.Namespace(config=path, deep=False, json=False))
    print("\n" + "\n".join(_next_steps(path, values)))
    return code


def _answered(question: Question, before: Values) -> Values:
    """The settings with those of the answer; the question is repeated until the answer is valid."""
    while True:
        try:
            answer = input("   > ").strip()
        except EOFError:
            raise BadInputError("vcpd init needs five answers; nothing is written") from None
        try:
            values = {**before, **(question.read(answer) if answer else {})}
            require_valid(values)
        except (BadInputError, ConfigurationError) as error:
            print(f"   {error}")
        else:
            return values


def require_valid(values: Values) -> Configuration:
    """The configuration that the settings make. Raises ConfigurationError with every problem."""
    with tempfile.TemporaryDirectory(prefix="vcpd-init-") as folder:
        path = Path(folder) / "config.toml"
        path.write_text(configuration_text(values), encoding="utf-8")
        return load_configuration(path, {}).configuration


def configuration_text(values: Values) -> str:
    """The settings as TOML, section by section, less those that equal their defaults."""
    sections: dict[str, list[str]] = {}
    for path, value in values.items():
        section, _, key = path.rpartition(".")
        if value != _default_of(path):
            sections.setdefault(section, []).append(f"{key} = {toml_value(value)}\n")
    return HEADER + "".join(f"\n[{section}]\n{''.join(lines)}" for section, lines in sections.items())


def _default_of(path: str) -> object:
    """The default of a setting that no market changes; None for a job's."""
    value: object = Configuration()
    for name in path.split("."):
        value = None if isinstance(value, Mapping) else getattr(value, name, None)
    return value


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text.encode())
        path.chmod(FILE_MODE)
    except OSError as error:
        raise UnavailableError(f"cannot write {path}: {error.strerror}") from None


def _next_steps(path: Path, values: Values) -> Iterable[str]:
    """What to do now, in order."""
    configuration = require_valid(values)
    state = path.parent / configuration.daemon.state_dir
    if configuration.daemon.market == "kite":
        yield f"Put the app's secret into {state}/secrets/kite_api_secret, mode 0600 (docs/kite-login.md)."
        yield f"Register this redirect URL with the app: {configuration.web.callback_url}"
    if "alerts.telegram.chat_id" in values:
        yield f"Put the bot's token into {state}/secrets/alerts_telegram_token, mode 0600 (docs/alerts.md)."
    if configuration.web.is_published:
        yield "Set the page's password: vcpd password (docs/remote-access.md says what the proxy needs)."
    yield f"Start: vcpd run --config {path}"


def _market(answer: str) -> Values:
    name, _, key = answer.partition(" ")
    if name == "kite" and not key:
        raise BadInputError("expected the app's public API key behind it, such as `kite abcd1234`")
    if key and name != "kite":
        raise BadInputError(f"expected the market's name alone, was {answer!r}")
    return {"daemon.market": name, **({"kite.api_key": key.strip()} if key else {})}


def _capital(answer: str) -> Values:
    try:
        numbers = [float(word.replace(",", "")) for word in answer.split()]
        equity, risk_pct = numbers
    except ValueError:
        raise BadInputError(f"expected two numbers, such as `1000000 0.5`, was {answer!r}") from None
    return {"size.equity": equity, "size.risk_pct": risk_pct}


def _alerts(answer: str) -> Values:
    channel, _, value = answer.partition(" ")
    if channel not in CHANNEL_SETTINGS or not value.strip():
        raise BadInputError(
            f"expected a channel and its address, such as `ntfy my-secret-topic`, was {answer!r}"
        )
    return {f"alerts.{channel}.{CHANNEL_SETTINGS[channel]}": value.strip()}


def _address(answer: str) -> Values:
    return {"web.public_url": answer}


def _evening(answer: str) -> Values:
    return {f"jobs.{EVENING_JOB}.at": answer}


QUESTIONS: Final = (
    Question(
        "Which market?",
        "`bhavcopy` (the exchange's daily files, no account), `kite API_KEY` (Zerodha, plan Connect); "
        "empty: `sandbox`, a simulated market",
        _market,
    ),
    Question(
        "How large is the account, and how many percent of it may one trade lose?",
        "such as `1000000 0.5`; empty: 0.5 %, and `vcpd size` asks for the account each time",
        _capital,
    ),
    Question(
        "Where should alerts go?",
        "`ntfy TOPIC`, `telegram CHAT_ID` or `webhook URL`; mail and others: docs/alerts.md; empty: none",
        _alerts,
    ),
    Question(
        "Under which address do you open the page from elsewhere?",
        "a reverse proxy's, such as `https://box.tailnet-name.ts.net/vcpd/`; empty: this machine only",
        _address,
    ),
    Question(
        "When should the evening's setups be there at the latest?",
        "a time of the exchange, such as `19:30`; empty: as soon as the bars are collected, by the market's "
        "own schedule",
        _evening,
    ),
)
