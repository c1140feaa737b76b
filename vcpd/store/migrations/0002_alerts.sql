-- oldest reader: 1
-- What was told to the owner, and how far it is on its way to each channel.

CREATE TABLE alerts (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key         text NOT NULL UNIQUE, -- told once
    kind        text NOT NULL,
    at          timestamptz NOT NULL,
    told_at     timestamptz NOT NULL,
    session     date,
    symbol      text,
    urgent      boolean NOT NULL,
    provisional boolean NOT NULL,
    facts       jsonb NOT NULL,
    items       jsonb NOT NULL
);
CREATE INDEX alerts_by_kind ON alerts (kind, id);

CREATE TABLE alert_deliveries (
    alert_id        bigint NOT NULL REFERENCES alerts ON DELETE CASCADE,
    channel         text NOT NULL,
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    delivered_at    timestamptz,
    given_up_at     timestamptz,
    reason          text NOT NULL DEFAULT '',
    PRIMARY KEY (alert_id, channel),
    CHECK (delivered_at IS NULL OR given_up_at IS NULL)
);
CREATE INDEX alert_deliveries_open ON alert_deliveries (channel, next_attempt_at)
WHERE delivered_at IS NULL AND given_up_at IS NULL;
CREATE INDEX alert_deliveries_given_up ON alert_deliveries (given_up_at) WHERE given_up_at IS NOT NULL;

CREATE TABLE alert_latches (
    name  text PRIMARY KEY, -- a condition that is told when it begins, and again only after it has ended
    since timestamptz NOT NULL
);
