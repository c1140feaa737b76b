cimport cython

cdef double _ABOVE, _AT_LEAST
cdef Py_ssize_t _STRICT

@cython.locals(passes=bint)
cdef void _judge(
    const double[:, ::1] value,
    const double[:, ::1] limit,
    long long[:, ::1] holds,
    long long[::1] held,
    long long[::1] failed,
) noexcept nogil
cdef void _fill_prices(
    const double[::1] close,
    const double[::1] ratings,
    double least,
    Py_ssize_t first,
    double[:, ::1] value,
    double[:, ::1] limit,
) noexcept nogil
cdef void _fill_averages(
    const double[::1] close,
    const double[::1] sums,
    Py_ssize_t rise,
    Py_ssize_t first,
    double[:, ::1] value,
    double[:, ::1] limit,
) noexcept nogil
cdef void _fill_extremes(
    const double[::1] prices,
    double sign,
    Py_ssize_t window,
    double share,
    Py_ssize_t first,
    Py_ssize_t number,
    double[:, ::1] limit,
) noexcept nogil
cdef Py_ssize_t _extreme_bar(
    const double[::1] prices, double sign, Py_ssize_t known, Py_ssize_t t, Py_ssize_t window
) noexcept nogil
