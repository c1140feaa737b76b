from vcpd.api import chart as chart
from vcpd.api import explain as explain
from vcpd.api import history as history
from vcpd.api import open_store as open_store
from vcpd.api import risk as risk
from vcpd.api import screen as screen
from vcpd.api import simulated_bars as simulated_bars
from vcpd.api import sizing as sizing
from vcpd.api import study as study

__version__: str
API: tuple[str, ...]
