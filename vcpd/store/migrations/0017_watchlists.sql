-- oldest reader: 4
-- oldest release that may write: 0.1.0
-- Price levels at which a user wants an alert, until when a symbol's levels are silent, and setups he has looked at.

-- reference_close is the close of the newest final session when the level was set: it gives the scale of its price.
CREATE TABLE price_levels (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    symbol            text NOT NULL,
    kind              text NOT NULL CHECK (kind IN ('above', 'below', 'crosses')),
    price             double precision CHECK (price > 0),
    average           integer CHECK (average > 1),
    note              text NOT NULL DEFAULT '',
    reference_session date,
    reference_close   double precision,
    added_at          timestamptz NOT NULL DEFAULT now(),
    CHECK ((price IS NULL) = (kind = 'crosses')),
    CHECK ((average IS NULL) = (kind <> 'crosses'))
);
CREATE UNIQUE INDEX price_levels_once ON price_levels (symbol, kind, coalesce(price, 0), coalesce(average, 0));

-- From the session until_session on the symbol's levels are judged again.
CREATE TABLE symbol_snoozes (
    symbol        text PRIMARY KEY,
    until_session date NOT NULL
);

-- The setups of which session a user has looked at last, by symbol.
CREATE TABLE symbols_seen (
    symbol  text PRIMARY KEY,
    session date NOT NULL
);
