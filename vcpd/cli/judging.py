"""`vcpd check-config`: what an owner set, judged as `vcpd run` would."""

import argparse
import sys

from vcpd.app.jobs import kind_problems
from vcpd.cli.verbs import EXIT_OK, configuration_path
from vcpd.config import Configuration, load
from vcpd.domain.errors import BadInputError, ConfigurationError
from vcpd.domain.nse_sessions import NSE
from vcpd.schedule.policies import policy_problems


def check(arguments: argparse.Namespace) -> int:
    """Raises ConfigurationError with every problem; says what may surprise, and that the file is good."""
    path = configuration_path(arguments)
    configuration = load(path).configuration
    if problems := contradictions(configuration):
        raise ConfigurationError(problems)
    for warning in warnings_of(configuration):
        print(f"vcpd: warning: {warning}", file=sys.stderr)
    print(f"{path}: good")
    return EXIT_OK


def contradictions(configuration: Configuration) -> list[str]:
    """What no single setting shows: jobs that do not exist or wait for each other, days given twice."""
    problems = kind_problems(configuration.jobs) + policy_problems(configuration.jobs)
    try:
        configuration.schedule.calendar(NSE)
    except BadInputError as error:
        problems.append(f"schedule: {error}")
    return problems


def warnings_of(configuration: Configuration) -> list[str]:
    """What is allowed but surprises people, with its path."""
    return [
        f"jobs.{name}.cron: {warning}"
        for name, policy in configuration.jobs.items()
        for warning in policy.warnings()
    ]
