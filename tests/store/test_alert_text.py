"""Characters that PostgreSQL does not take are left out of an alert's text."""

from tests.alerts.samples import EVENING, alert
from vcpd.store.alerts import PostgresOutbox
from vcpd.store.database import Database


async def test_a_zero_byte_in_a_fact_is_left_out(database: Database) -> None:
    outbox = PostgresOutbox(database)
    reported = alert("AAA", facts={"detail": "x\0y", "count": 1})
    await outbox.add([reported], {reported.key: ["mail"]}, EVENING)
    (delivery,) = await outbox.due("mail", EVENING, 5, prompt=False)
    assert delivery.alert.facts == {"detail": "xy", "count": 1}
