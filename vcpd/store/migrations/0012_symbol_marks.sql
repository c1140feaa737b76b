-- oldest reader: 4
-- oldest release that may write: 0.1.0
-- Symbols that a user keeps in a list by its name, such as `starred`, and what he notes of a symbol.

CREATE TABLE symbol_lists (
    list     text NOT NULL,
    symbol   text NOT NULL,
    added_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (list, symbol)
);

CREATE TABLE symbol_notes (
    symbol     text PRIMARY KEY,
    note       text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);
