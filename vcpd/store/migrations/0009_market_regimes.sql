-- oldest reader: 4
-- oldest release that may write: 0.1.0
-- What the market did after each screened session, and where its sectors stood; never changed later but by a
-- screen of the same session. The setups that worked and failed are null for sessions before the first screen.

CREATE TABLE market_regimes (
    session       date PRIMARY KEY,
    term          text NOT NULL,
    regime        jsonb NOT NULL,
    sectors       jsonb NOT NULL,
    setups_worked integer,
    setups_failed integer
);
