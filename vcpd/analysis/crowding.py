"""Which of tonight's candidates are one and the same bet."""

from typing import Annotated

import msgspec


class CrowdingParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When two candidates count as one bet."""

    correlation: Annotated[
        float, msgspec.Meta(gt=0, lt=1, description="candidates that correlate from here up are one bet")
    ] = 0.7
