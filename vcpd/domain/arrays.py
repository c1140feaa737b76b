"""Names for the array types that the rooms hand to each other."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
DateArray = NDArray[np.datetime64]  # always of unit D
RecordArray = NDArray[np.void]
PlaceArray = NDArray[np.uint8]  # 1..99, 0 where unknown
