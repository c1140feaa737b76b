"""`vcpd completion` and `vcpd manual`: shell completion, man page and Markdown from the parser."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import shtab

from vcpd import __version__
from vcpd.cli.command import EXIT_CODE_TEXTS, EXIT_OK, set_action
from vcpd.cli.main import build_parser

FILE_ARGUMENTS = ("bars", "index")
FILES = (
    ("config.toml", "the configuration; `vcpd show-config --defaults` prints one"),
    (
        "/etc/vcpd/config.toml",
        "the same, as `make install` puts it; used if the current directory has no config.toml",
    ),
    ("state/", "everything that vcpd writes: database, snapshots, tokens"),
    ("state/secrets/", "files of mode 0600: kite_api_secret, web_token, store_dsn"),
)


def add_completion_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(
        parser,
        completion,
        (
            "vcpd completion bash > ~/.local/share/bash-completion/completions/vcpd\n"
            "vcpd completion zsh > ~/.zfunc/_vcpd"
        ),
    )
    parser.add_argument("shell", choices=("bash", "zsh"))


def completion(arguments: argparse.Namespace) -> int:
    """Print the completion script for bash or zsh."""
    print(completion_script(arguments.shell))
    return EXIT_OK


def completion_script(shell: str) -> str:
    """The script, with file names completed where a file is expected."""
    parser = build_parser()
    for action in _all_actions(parser):
        if action.type is Path or action.dest in FILE_ARGUMENTS:
            vars(action)["complete"] = shtab.FILE
    text: str = shtab.complete(parser, shell=shell)
    return text


def _all_actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every argument of a parser and of the commands below it."""
    for action in parser._actions:  # noqa: SLF001 - a parser lists its arguments nowhere else
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - the same
            for child in action.choices.values():
                yield from _all_actions(child)


class CommandHelp(NamedTuple):
    """A command: full name, summary, usage, arguments and example."""

    name: str
    text: str
    usage: str
    arguments: tuple[tuple[str, str], ...]
    example: str


def add_manual_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, manual, "vcpd manual --format man | man -l -")
    parser.add_argument("--format", choices=("man", "markdown"), default="man")


def manual(arguments: argparse.Namespace) -> int:
    """Print the manual in the given format."""
    print(man_page() if arguments.format == "man" else manual_markdown(), end="")
    return EXIT_OK


def command_helps(parser: argparse.ArgumentParser) -> Iterator[CommandHelp]:
    """Every command, nested commands after their parent."""
    for action in parser._actions:  # noqa: SLF001 - a parser lists its arguments nowhere else
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - the same
            for child in action.choices.values():
                yield _command_help(child)
                yield from command_helps(child)


def _command_help(parser: argparse.ArgumentParser) -> CommandHelp:
    arguments = tuple(
        (_argument_signature(action), _help_text(action))
        for action in parser._actions  # noqa: SLF001 - a parser lists its arguments nowhere else
        if action.help is not argparse.SUPPRESS
        and not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)  # noqa: SLF001 - the same
    )
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    example = (parser.epilog or "").removeprefix("example:\n")
    lines = "\n".join(line.strip() for line in example.splitlines())
    return CommandHelp(parser.prog, parser.description or "", usage, arguments, lines)


def _argument_signature(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else str(action.metavar or _choices(action) or action.dest.upper())
    if not action.option_strings:
        return f"{value}..." if action.nargs == "+" else value
    return f"{', '.join(action.option_strings)} {value}".strip()


def _choices(action: argparse.Action) -> str:
    return "|".join(str(choice) for choice in action.choices or ())


def _help_text(action: argparse.Action) -> str:
    if action.help:
        return action.help
    return f"one of {', '.join(map(str, action.choices))}" if action.choices else ""


def manual_markdown() -> str:
    """docs/command-line.md."""
    parser = build_parser()
    lines = ["# Command line", "", str(parser.description), ""]
    lines += ["This page is printed by `vcpd manual --format markdown`; `vcpd COMMAND --help` says the same."]
    for command in command_helps(parser):
        lines += ["", f"## {command.name}", f"{command.text[:1].upper()}{command.text[1:]}.", ""]
        lines += [f"    {line}" for line in command.example.splitlines()]
        if command.arguments:
            lines += ["", "| argument | meaning |", "|---|---|"]
            lines += [f"| `{_cell(name)}` | {_cell(text)} |" for name, text in command.arguments]
    lines += ["", "## Exit codes", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {code} | {text} |" for code, text in EXIT_CODE_TEXTS]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def man_page() -> str:
    """docs/vcpd.1, in the roff that man reads."""
    parser = build_parser()
    lines = [f'.TH VCPD 1 "" "vcpd {__version__}" "User Commands"', ".SH NAME"]
    lines += [r"vcpd \- daily bars, volatility contraction patterns and risk scores"]
    lines += [".SH SYNOPSIS", ".B vcpd", r"\fIVERB\fR [\fIargument\fR ...]"]
    lines += [".SH DESCRIPTION", _roff(str(parser.description)), ".SH COMMANDS"]
    for command in command_helps(parser):
        lines += [".SS " + _roff(command.name), _roff(f"{command.text[:1].upper()}{command.text[1:]}.")]
        for name, text in command.arguments:
            lines += [".TP", rf"\fB{_roff(name)}\fR", _roff(text) or r"\&"]
        lines += [".PP", ".nf", ".RS", *map(_roff, command.example.splitlines()), ".RE", ".fi"]
    lines += [".SH EXIT STATUS"]
    for code, text in EXIT_CODE_TEXTS:
        lines += [".TP", rf"\fB{code}\fR", _roff(text)]
    lines += [".SH FILES"]
    for name, text in FILES:
        lines += [".TP", rf"\fI{_roff(name)}\fR", _roff(text)]
    return "\n".join(lines) + "\n"


def _roff(text: str) -> str:
    """Text whose backslashes, hyphens and leading dots mean themselves."""
    plain = text.replace("\\", r"\e").replace("-", r"\-").replace("`", "")
    return rf"\&{plain}" if plain.startswith((".", "'")) else plain
