"""Values of the counters that the code keeps in Prometheus' own registry; tests compare before and after."""

from prometheus_client import REGISTRY


def value(name: str, **labels: str) -> float:
    """A sample's value now; 0 before the first time it counts."""
    return REGISTRY.get_sample_value(name, labels) or 0.0
