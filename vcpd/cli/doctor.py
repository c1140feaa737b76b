"""`vcpd doctor` and `vcpd check-config`: check the installation and the configuration."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from vcpd.app.alert_channels import alert_secret_names
from vcpd.app.credentials import SECRET_NAMES, find_secret
from vcpd.app.jobs import unknown_kind_problems
from vcpd.cli.command import (
    EXIT_FAILED,
    EXIT_OK,
    add_config_argument,
    add_json_argument,
    configuration_path,
    set_action,
)
from vcpd.cli.config import load_named
from vcpd.cli.doctor_checks import DoctorContext, Finding, check_machine, check_services
from vcpd.cli.output import print_json
from vcpd.config import (
    Configuration,
    LoadedConfiguration,
    deprecation_warning,
    load_configuration,
    unknown_variables,
)
from vcpd.core.errors import BadInputError, ConfigurationError
from vcpd.runtime.clock import WallClock
from vcpd.schedule.policy import policy_problems
from vcpd.web.security import exposure_problems

RESULT_LABELS = {True: "good", False: "BAD ", None: "note"}


def add_doctor_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, doctor, "vcpd doctor\nvcpd doctor --deep")
    parser.add_argument(
        "--deep", action="store_true", help="also read everything that is stored, and check its indexes"
    )
    add_config_argument(parser)
    add_json_argument(parser)


def doctor(arguments: argparse.Namespace) -> int:
    """Exit code 1 where anything is bad; a note is none."""
    findings = _collect_findings(arguments)
    if arguments.json:
        print_json(findings)
    else:
        for finding in findings:
            _print_finding(finding)
    return EXIT_FAILED if any(finding.good is False for finding in findings) else EXIT_OK


def _collect_findings(arguments: argparse.Namespace) -> Sequence[Finding]:
    path = configuration_path(arguments)
    try:
        loaded = load_configuration(path)
    except ConfigurationError as error:
        remedy = "correct the file; `vcpd show-config --defaults` prints a valid one"
        return [Finding("configuration", False, "; ".join(error.problems), remedy)]
    context = DoctorContext(loaded, WallClock().now(), arguments.deep)
    findings = [_configuration_finding(path, loaded), *_run_findings(loaded), *check_machine(context)]
    return findings + list(asyncio.run(check_services(context)))


def _run_findings(loaded: LoadedConfiguration) -> list[Finding]:
    """What `check-config` refuses or warns of beside the file."""
    problems = find_contradictions(loaded.configuration) + run_problems(loaded)
    unknown = unknown_variables(os.environ, (*SECRET_NAMES, *alert_secret_names()))
    refused = [
        Finding("configuration", False, text, "`vcpd run` refuses this: correct it") for text in problems
    ]
    ignored = [Finding("environment", None, text, "correct or unset the variable") for text in unknown]
    return refused + ignored


def _configuration_finding(path: Path, loaded: LoadedConfiguration) -> Finding:
    if loaded.deprecated:
        text = deprecation_warning(loaded.deprecated)
        return Finding("configuration", None, f"{path}: {text}", "use the new names")
    return Finding("configuration", True, str(path))


def _print_finding(finding: Finding) -> None:
    print(f"{RESULT_LABELS[finding.good]}  {finding.name:<14} {finding.text}")
    if finding.remedy:
        print(f"{'':<20} -> {finding.remedy}")


def add_check_config_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, check_config, "vcpd check-config --config config.toml")
    add_config_argument(parser)


def check_config(arguments: argparse.Namespace) -> int:
    """Raise ConfigurationError with every problem; else print warnings, and that the file is valid."""
    path = configuration_path(arguments)
    loaded = load_named(arguments)
    if problems := find_contradictions(loaded.configuration) + run_problems(loaded):
        raise ConfigurationError(problems)
    unknown = unknown_variables(os.environ, (*SECRET_NAMES, *alert_secret_names()))
    for warning in [*config_warnings(loaded.configuration), *unknown]:
        print(f"vcpd: warning: {warning}", file=sys.stderr)
    print(f"{path}: good")
    return EXIT_OK


def run_problems(loaded: LoadedConfiguration) -> list[str]:
    """What `vcpd run` would refuse although the file itself is good."""
    try:
        token = find_secret("web_token", loaded.state_dir / "secrets", os.environ)
    except ConfigurationError as error:
        return error.problems
    return exposure_problems(loaded.configuration.web, token)


def find_contradictions(configuration: Configuration) -> list[str]:
    """What no single setting shows: jobs that do not exist or wait for each other, days given twice."""
    problems = unknown_kind_problems(configuration.jobs) + policy_problems(configuration.jobs)
    try:
        _ = configuration.calendar
    except BadInputError as error:
        problems.append(f"schedule: {error}")
    return problems


def config_warnings(configuration: Configuration) -> list[str]:
    """Settings that are valid but may have unexpected effects, with their paths."""
    return [
        f"jobs.{name}.cron: {warning}"
        for name, policy in configuration.jobs.items()
        for warning in policy.warnings()
    ]
