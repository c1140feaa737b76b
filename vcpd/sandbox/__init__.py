"""A Kite-compatible exchange on localhost, over a simulated market or over bars it is given."""
