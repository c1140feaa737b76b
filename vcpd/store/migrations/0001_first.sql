-- oldest reader: 1

CREATE TABLE instruments (
    id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    symbol      text NOT NULL UNIQUE,
    token       bigint NOT NULL,
    name        text NOT NULL,
    tick_size   double precision NOT NULL,
    lot_size    integer NOT NULL,
    segment     text NOT NULL,
    series      text NOT NULL,
    listed      boolean NOT NULL,
    first_seen  date NOT NULL,
    last_seen   date NOT NULL,
    asked_first date,
    asked_last  date,
    CHECK ((asked_first IS NULL) = (asked_last IS NULL)),
    CHECK (asked_first <= asked_last)
);

-- No foreign key: a check per row would double the time of a bulk load; a merge locks its instruments instead.
CREATE TABLE bars (
    instrument_id integer NOT NULL,
    session       date NOT NULL,
    open          double precision NOT NULL,
    high          double precision NOT NULL,
    low           double precision NOT NULL,
    close         double precision NOT NULL,
    volume        double precision NOT NULL, -- NaN: unknown
    provisional   boolean NOT NULL,
    PRIMARY KEY (instrument_id, session)
);
CREATE INDEX bars_provisional ON bars (instrument_id, session) WHERE provisional;

CREATE TABLE quarantine (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    symbol  text NOT NULL,
    session date,
    rule    text NOT NULL,
    reason  text NOT NULL,
    payload jsonb NOT NULL
);
CREATE UNIQUE INDEX quarantine_once
    ON quarantine (symbol, coalesce(session, date '-infinity'), rule, md5(payload::text));

CREATE TABLE flags (
    symbol   text NOT NULL,
    rule     text NOT NULL,
    session  date NOT NULL,
    reason   text NOT NULL,
    excludes boolean NOT NULL,
    PRIMARY KEY (symbol, rule, session)
);

CREATE TABLE runs (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job          text NOT NULL,
    scheduled_at timestamptz NOT NULL,
    session      date,
    started_at   timestamptz,
    finished_at  timestamptz,
    outcome      text,
    reason       text NOT NULL DEFAULT '',
    counts       jsonb NOT NULL DEFAULT '{}',
    UNIQUE (job, scheduled_at)
);
CREATE INDEX runs_by_time ON runs (scheduled_at DESC, id DESC);
CREATE INDEX runs_open ON runs (id) WHERE outcome IS NULL;

CREATE TABLE paused_jobs (
    job text PRIMARY KEY
);

CREATE TABLE screened_sessions (
    session date PRIMARY KEY
);

CREATE TABLE setups (
    session       date NOT NULL REFERENCES screened_sessions,
    instrument_id integer NOT NULL REFERENCES instruments,
    has_base      boolean NOT NULL,
    passed        boolean NOT NULL,
    state         text,
    score         double precision NOT NULL,
    rs_rating     integer,
    verdict       jsonb NOT NULL,
    PRIMARY KEY (session, instrument_id)
);
CREATE INDEX setups_by_instrument ON setups (instrument_id, session);
CREATE INDEX setups_without_base ON setups (session) WHERE NOT has_base;

CREATE TABLE bases (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    instrument_id integer NOT NULL REFERENCES instruments,
    anchor_date   date NOT NULL,
    found_on      date NOT NULL,
    last_judged   date NOT NULL,
    pivot         double precision NOT NULL,
    stop          double precision NOT NULL,
    footprint     text NOT NULL,
    state         text NOT NULL,
    breakout_on   date,
    verdict       jsonb,
    UNIQUE (instrument_id, anchor_date)
);
CREATE INDEX bases_by_state ON bases (state, last_judged);

CREATE TABLE setup_events (
    base_id     bigint NOT NULL REFERENCES bases,
    kind        text NOT NULL,
    session     date NOT NULL,
    number      integer NOT NULL, -- its place in the base's life
    price       double precision NOT NULL,
    provisional boolean NOT NULL,
    detail      text NOT NULL,
    PRIMARY KEY (base_id, session, kind)
);

CREATE TABLE scored_sessions (
    session date PRIMARY KEY
);

CREATE TABLE risk_scores (
    session       date NOT NULL REFERENCES scored_sessions,
    instrument_id integer NOT NULL REFERENCES instruments,
    score         double precision,
    band          text,
    verdict       jsonb NOT NULL,
    PRIMARY KEY (session, instrument_id)
);
CREATE INDEX risk_scores_by_instrument ON risk_scores (instrument_id, session);
