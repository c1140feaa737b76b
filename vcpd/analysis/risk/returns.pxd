cimport cython

cdef double _YEAR, _ROOT_YEAR, _STILL, _CONSTANT, _UNKNOWN, _INFINITY
cdef Py_ssize_t _TAIL, _NOWHERE

cdef void _fill_simple_returns(
    const double[:, ::1] close, const long long[::1] first, double[:, ::1] returns
) noexcept nogil
cdef double total_of(const double[::1] values) noexcept nogil
@cython.locals(below=Py_ssize_t)
cdef double _low_percentile(const double[::1] ordered, Py_ssize_t percent) noexcept nogil
cdef void _measure_shape(
    Py_ssize_t count, double second, double third, double fourth, double[::1] out
) noexcept nogil
cdef void _measure_deviation(const double[::1] returns, double[::1] out) noexcept nogil
@cython.locals(last=Py_ssize_t)
cdef void _measure_tail(const double[::1] ordered, double[::1] out) noexcept nogil
cdef void _measure_return_rows(
    const double[:, ::1] close,
    const double[:, ::1] returns,
    const double[:, ::1] ordered,
    const long long[::1] first,
    double[:, ::1] out,
) noexcept nogil
cdef void _measure_drawdowns(
    const double[:, ::1] close,
    const long long[:, ::1] positions,
    const long long[::1] first,
    double[:, ::1] work,
    double[:, ::1] out,
    long long[:, ::1] at,
) noexcept nogil
@cython.locals(high=double)
cdef void _measure_falls(const double[::1] close, double[::1] highs, double[::1] falls) noexcept nogil
cdef void _measure_drawdown_row(
    const double[::1] close,
    const double[::1] highs,
    const double[::1] falls,
    const long long[::1] positions,
    double[::1] out,
    long long[::1] at,
) noexcept nogil
@cython.locals(deepest=double, trough=Py_ssize_t)
cdef Py_ssize_t _deepest(const double[::1] falls) noexcept nogil
cdef Py_ssize_t _recovery_bar(const double[::1] close, Py_ssize_t peak, Py_ssize_t trough) noexcept nogil
cdef Py_ssize_t _fill_index_returns(const double[::1] index, double[::1] changes) noexcept nogil
@cython.locals(count=Py_ssize_t)
cdef void _gather_pairs(
    const double[::1] returns, const double[::1] changes, double[::1] own, double[::1] market
) noexcept nogil
cdef void _regress(const double[::1] own, const double[::1] market, double[::1] out) noexcept nogil
cdef bint _has_sessions_of(
    Py_ssize_t other, Py_ssize_t row, const long long[:, ::1] positions, const long long[::1] first
) noexcept nogil
@cython.locals(known=Py_ssize_t)
cdef void _measure_market_rows(
    const double[:, ::1] index,
    const long long[:, ::1] positions,
    const double[:, ::1] returns,
    const long long[::1] first,
    Py_ssize_t minimum_pairs,
    double[:, ::1] work,
    double[:, ::1] out,
) noexcept nogil
