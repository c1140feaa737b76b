-- oldest reader: 4
-- oldest release that may write: 0.1.0
-- What the user bought and sold, as it was on its day, and what the account looked like after each session.

-- instrument_id follows a company through new symbols; null for one that was never listed here. reference_close is
-- the close of the session at the scale of prices of that day, null until a final bar of it is stored; later_ratio
-- is how many shares of the day on which the row was added stand for one of its session.
CREATE TABLE fills (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    symbol          text NOT NULL,
    instrument_id   integer REFERENCES instruments,
    isin            text NOT NULL DEFAULT '',
    session         date NOT NULL,
    side            text NOT NULL CHECK (side IN ('buy', 'sell')),
    quantity        bigint NOT NULL CHECK (quantity > 0),
    price           double precision NOT NULL CHECK (price >= 0),
    trade_id        text NOT NULL,
    order_id        text NOT NULL DEFAULT '',
    stop            double precision CHECK (stop > 0),
    note            text NOT NULL DEFAULT '',
    reference_close double precision,
    later_ratio     double precision NOT NULL DEFAULT 1 CHECK (later_ratio > 0),
    UNIQUE (symbol, session, trade_id)
);
CREATE INDEX fills_by_instrument ON fills (instrument_id, session);

-- The newest report is kept whole; of the older ones remains what a curve shows.
CREATE TABLE position_reports (
    session  date PRIMARY KEY,
    lots     integer NOT NULL,
    closed_r double precision NOT NULL,
    open_r   double precision NOT NULL,
    at_risk  double precision,
    report   jsonb,
    journal  jsonb
);
