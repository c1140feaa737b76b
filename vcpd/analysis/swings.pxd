cimport cython

cdef double _LEAST_SHARE, _INFINITY
cdef Py_ssize_t _ATR_SESSIONS

cdef class SwingTracer:
    cdef readonly long long[::1] at
    cdef readonly long long[::1] confirmed_at
    cdef readonly long long[::1] extreme
    cdef readonly long long[::1] counter
    cdef double[::1] _turn
    cdef const double[::1] _high
    cdef const double[::1] _low
    cdef double _atr_share, _min_turn, _max_turn

    cdef void _fill_turns(
        self, const double[::1] range_sum, const double[::1] close, Py_ssize_t first, Py_ssize_t last
    ) noexcept nogil
    @cython.locals(rising=bint, broken=bint)
    cdef Py_ssize_t trace(self, Py_ssize_t anchor, Py_ssize_t last) noexcept nogil
    @cython.locals(further=bint)
    cdef Py_ssize_t _furthest_bar(self, bint rising, Py_ssize_t extreme, Py_ssize_t t) noexcept nogil
