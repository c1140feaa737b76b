"""`vcpd setups`: the setups that the daemon follows, and which of them are one bet."""

import argparse

import msgspec

from vcpd.analysis.crowding import Cluster, Crowding, SectorCrowd
from vcpd.cli.asking import DaemonClient, daemon_client
from vcpd.cli.output import print_json, print_table
from vcpd.cli.screen import print_setups
from vcpd.cli.verbs import EXIT_OK
from vcpd.domain.errors import BadInputError
from vcpd.domain.setups import Setup

PAIRS_SHOWN = 3


def setups(arguments: argparse.Namespace) -> int:
    """A table, JSON, or with --crowding the clusters."""
    daemon = daemon_client(arguments)
    if arguments.crowding:
        if arguments.as_of is not None:
            raise BadInputError("--crowding compares the latest setups: leave --as-of away")
        _print_crowding(daemon, as_json=arguments.json)
        return EXIT_OK
    names = ("as_of", "state", "min_score", "min_rating", "text", "sector", "sort", "order", "limit")
    query = {name: getattr(arguments, name) for name in names}
    answer = daemon.get("/api/setups", all=1 if arguments.all else None, **query)
    print_setups(msgspec.convert(answer["items"], list[Setup]), as_json=arguments.json)
    if not arguments.json:
        never = "no session yet" if arguments.as_of is None else f"{arguments.as_of}, which was never judged"
        print(f"after {answer['as_of'] or never}; {answer['count']} match")
    return EXIT_OK


def _print_crowding(daemon: DaemonClient, *, as_json: bool) -> None:
    answer = daemon.get("/api/crowding")
    if as_json:
        print_json(answer)
        return
    crowding = msgspec.convert(answer, Crowding)
    count = sum(len(cluster.members) for cluster in crowding.clusters)
    title = f"{count} setups, about {crowding.effective_bets:.1f} independent bets"
    columns = ("bet", "members", "correlation", "most alike")
    rows = [_cluster_row(number, one) for number, one in enumerate(crowding.clusters, 1)]
    print_table(title, columns, rows, ("bet", "correlation"))
    if crowding.sectors:
        rows = [_sector_row(one) for one in crowding.sectors]
        print_table("in one sector", ("sector", "members", "correlation"), rows, ("correlation",))
    if crowding.unknown:
        print(f"too few returns to compare: {', '.join(crowding.unknown)}")


def _sector_row(crowd: SectorCrowd) -> tuple[str, ...]:
    return crowd.sector, ", ".join(crowd.members), _correlation(crowd.mean_correlation)


def _correlation(mean: float | None) -> str:
    return "" if mean is None else f"{mean:.2f}"


def _cluster_row(number: int, cluster: Cluster) -> tuple[str, ...]:
    known = [pair for pair in cluster.pairs if pair.correlation is not None]
    known.sort(key=lambda pair: -(pair.correlation or 0.0))
    alike = [f"{pair.first} {pair.second} {pair.correlation:.2f}" for pair in known[:PAIRS_SHOWN]]
    mean = _correlation(cluster.mean_correlation)
    return str(number), ", ".join(cluster.members), mean, "; ".join(alike)
