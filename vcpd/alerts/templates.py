"""How each kind of alert is worded; an owner may say it in other words, with the same facts."""

from collections.abc import Iterator
from typing import Annotated, Final

import msgspec

from vcpd.alerts.facts import item_facts, known_facts
from vcpd.alerts.texts import problems_of
from vcpd.domain.alerts import AlertKind

EVENT_BODY: Final = (
    "{detail}\n"
    "price {price:.2f}, pivot {pivot:.2f}, stop {stop:.2f}\n"
    "risk {risk_pct:.1f} %\n"
    "{footprint}\n"
    "RS {rating}, score {score:.0f}\n"
    "{note}\n"
    "{provisional}"
)

Title = Annotated[str, msgspec.Meta(max_length=200, description="one line; empty: vcpd's own words")]
Body = Annotated[str, msgspec.Meta(max_length=2000, description="what stands below; empty: vcpd's own words")]
Item = Annotated[str, msgspec.Meta(max_length=500, description="a line for each setup; empty: vcpd's own")]


class Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The words of one kind of alert. docs/alerts.md lists the facts."""

    title: Title = ""
    body: Body = ""


class DigestTemplate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The words of the evening's digest: `item` stands once for each new setup."""

    title: Title = ""
    body: Body = ""
    item: Item = ""


SETUP_LINE: Final = (
    "{name}  {footprint}: pivot {pivot:.2f}, stop {stop:.2f}, risk {risk_pct:.1f} %, "
    "RS {rating}, score {score:.0f}, {state}"
)


def _event(title: str) -> Template:
    return Template(title=title, body=EVENT_BODY)


class Templates(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The words of alerts, one table a kind; `{name}` and `{name:.2f}` stand for facts."""

    setups: DigestTemplate = DigestTemplate(title="{headline} after {session}", item=SETUP_LINE)
    near_pivot: Template = _event("{name} nears its pivot {pivot:.2f}")
    breakout: Template = _event("{name} breaks out over {pivot:.2f}")
    breakout_unconfirmed: Template = _event("{name} is over its pivot {pivot:.2f}, without the volume")
    squat: Template = _event("{name} falls back under its pivot {pivot:.2f}")
    failed: Template = _event("{name}: the base has failed")
    login_due: Template = Template(title="Log in to the market", body="{reason}\n{url}")
    login_overdue: Template = Template(title="Login overdue: {waiting} waits for it", body="{reason}\n{url}")
    collection_incomplete: Template = Template(
        title="Bars of {session} incomplete: {headline}", body="{reason}"
    )
    health: Template = Template(title="Health {score} of 100, {level}", body="{reasons}")
    data_stale: Template = Template(
        title="The newest bars are of {last}", body="{age} trading sessions have ended since"
    )
    restatement: Template = Template(title="{headline}", body="{reason}")
    good_night: Template = Template(title="{session} is collected, screened and scored")
    test: Template = Template(title="vcpd: a test", body="{channel} works. Sent {at}.")

    def __post_init__(self) -> None:
        """Raises ValueError with every text that cannot be filled in."""
        if problems := [problem for kind in AlertKind for problem in self._problems(kind)]:
            raise ValueError("; ".join(problems))

    def of(self, kind: AlertKind) -> Template | DigestTemplate:
        """The words for a kind: the owner's, and ours where there are none."""
        given: Template | DigestTemplate = getattr(self, kind.value)
        ours = getattr(OURS, kind.value)
        missing = {name: getattr(ours, name) for name in given.__struct_fields__ if not getattr(given, name)}
        return msgspec.structs.replace(given, **missing)

    def _problems(self, kind: AlertKind) -> Iterator[str]:
        template = getattr(self, kind.value)
        for field in template.__struct_fields__:
            known = item_facts() if field == "item" else known_facts(kind)
            for problem in problems_of(getattr(template, field), known):
                yield f"{kind}.{field}: {problem}"


OURS: Final = Templates()
