cimport cython

cdef class TradeSimulator:
    cdef const double[::1] _open, _high, _low, _close
    cdef Py_ssize_t _horizon
    cdef readonly double best_r, worst_r, result_r, cost_share
    cdef readonly Py_ssize_t sessions
    cdef readonly bint stopped, finished
    cdef readonly double[::1] sums

    @cython.locals(highest=double, lowest=double, price=double)
    cdef void simulate(self, Py_ssize_t t, double stop) noexcept nogil
    cdef Py_ssize_t simulate_all(
        self, const unsigned char[::1] entered, const double[::1] stops, long long[::1] at, double[::1] results
    ) noexcept nogil
    cdef void _add(self) noexcept nogil
