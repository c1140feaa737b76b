"""`vcpd doctor`: everything vcpd needs, looked at; each trouble with its remedy."""

import argparse
import asyncio
from collections.abc import Sequence

from vcpd.cli.doctor_checks import Finding, Patient, check_machine
from vcpd.cli.doctor_reach import check_reach
from vcpd.cli.output import print_json
from vcpd.cli.verbs import EXIT_FAILED, EXIT_OK, configuration_path
from vcpd.config import load
from vcpd.domain.errors import ConfigurationError
from vcpd.runtime.clock import WallClock

SIGNS = {True: "good", False: "BAD ", None: "note"}


def doctor(arguments: argparse.Namespace) -> int:
    """Exit code 1 where anything is bad; a note is none."""
    findings = _findings(arguments)
    if arguments.json:
        print_json(findings)
    else:
        for finding in findings:
            _say(finding)
    return EXIT_FAILED if any(finding.good is False for finding in findings) else EXIT_OK


def _findings(arguments: argparse.Namespace) -> Sequence[Finding]:
    path = configuration_path(arguments)
    try:
        loaded = load(path)
    except ConfigurationError as error:
        remedy = "correct the file; `vcpd show-config --defaults` prints one that is good"
        return [Finding("configuration", False, "; ".join(error.problems), remedy)]
    patient = Patient(loaded, WallClock().now())
    found = [Finding("configuration", True, str(path)), *check_machine(patient)]
    return found + list(asyncio.run(check_reach(patient)))


def _say(finding: Finding) -> None:
    print(f"{SIGNS[finding.good]}  {finding.name:<14} {finding.text}")
    if finding.remedy:
        print(f"{'':<20} -> {finding.remedy}")
