cimport cython

cdef double _INFINITY

cdef double _is_price(double value) noexcept nogil
cdef double _count_bars(
    const double[::1] opening, const double[::1] high, const double[::1] low, const double[::1] close
) noexcept nogil
@cython.locals(waiting=int)
cdef void _mark_complete_rows(
    const double[:, :, ::1] bars,
    const unsigned char[:, :] provisional,
    Py_ssize_t start,
    Py_ssize_t since,
    unsigned char[::1] whole,
) noexcept nogil
@cython.locals(prices=int)
cdef Py_ssize_t _final_positions(
    const double[:, :] values, const unsigned char[:] provisional, Py_ssize_t stop, long long[::1] positions
) noexcept nogil
cdef void _gather(
    const double[:, :] planes,
    const double[:] index,
    const long long[::1] positions,
    Py_ssize_t first,
    double[:, :] packed,
) noexcept nogil
