"""The whole method on a hundred markets whose truth is known.

Market, seeds and bounds were fixed in `frozen_truth.toml` before the first run.
"""

import numpy as np
import pytest

from tests.study.frozen import FROZEN
from tests.study.truth import market_of


def test_the_market_is_drawn_as_it_was_when_it_was_frozen() -> None:
    drawn, panel = FROZEN.drawn, market_of(FROZEN.drawn.seed)
    assert np.log(panel.close).mean() == pytest.approx(drawn.mean_log_close, abs=1e-9)
    assert np.log(panel.volume).mean() == pytest.approx(drawn.mean_log_volume, abs=1e-9)
