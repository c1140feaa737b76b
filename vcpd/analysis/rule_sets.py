"""Named sets of sell rules: [positions] is the set of every lot for which no other one was chosen.

A named set states only thresholds that differ from those of [positions].
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec

from vcpd.analysis.sell_rules import SellRuleSettings
from vcpd.core.errors import BadInputError
from vcpd.domain.portfolio import DEFAULT_RULES

MAX_NAME_LENGTH = 40


class PositionRuleSettings(SellRuleSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which sell rules are followed, their thresholds, 0 switches a rule off, and further sets of rules."""

    reloadable: ClassVar[bool] = True

    rule_sets: Annotated[
        Mapping[str, Mapping[str, float]],
        msgspec.Meta(
            description="further sets of rules by name, chosen for a purchase with `vcpd positions rules`; "
            "each gives the thresholds that differ from those above"
        ),
    ] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.rule_sets:
            if not name.strip() or len(name) > MAX_NAME_LENGTH or name == DEFAULT_RULES:
                raise ValueError(
                    f"rule_sets.{name}: expected a name of 1 to {MAX_NAME_LENGTH} characters, "
                    f"not `{DEFAULT_RULES}`"
                )
            self._changed(name)

    @property
    def default(self) -> SellRuleSettings:
        """The set of every lot for which no other one was chosen."""
        return self._with({})

    @property
    def names(self) -> tuple[str, ...]:
        """All sets that can be chosen, that of [positions] first."""
        return (DEFAULT_RULES, *self.rule_sets)

    def by_name(self) -> Mapping[str, SellRuleSettings]:
        """Every named set with all of its thresholds."""
        return {name: self._changed(name) for name in self.rule_sets}

    def check_name(self, name: str) -> str:
        """The name as it is stored. BadInputError for one that no set has."""
        if name not in self.names:
            raise BadInputError(f"rules: expected one of {', '.join(self.names)}, was {name!r}")
        return name

    def _changed(self, name: str) -> SellRuleSettings:
        """The set of this name. ValueError that names a threshold which is unknown or out of its bounds."""
        try:
            return self._with(self.rule_sets[name])
        except msgspec.ValidationError as error:
            raise ValueError(f"rule_sets.{name}: {error}") from None

    def _with(self, changes: Mapping[str, float]) -> SellRuleSettings:
        own = {field: getattr(self, field) for field in SellRuleSettings.__struct_fields__}
        whole = {name: int(value) if value == int(value) else value for name, value in changes.items()}
        return msgspec.convert({**own, **whole}, SellRuleSettings)
