cimport cython

cdef Py_ssize_t _YEAR

cdef void _fill_strengths(
    const double[:, :] close,
    const unsigned char[::1] eligible,
    Py_ssize_t first,
    double[::1] kept,
    long long[::1] places,
    double[:, ::1] raw,
) noexcept nogil
cdef bint _is_unbroken(const double[:] close, Py_ssize_t first, Py_ssize_t stop) noexcept nogil
cdef void _fill_unbroken(const double[:] close, Py_ssize_t first, double[:] raw) noexcept nogil
@cython.locals(strength=double)
cdef double _weighted(
    double now, double quarter, double half, double three_quarters, double year
) noexcept nogil
cdef Py_ssize_t _latest_closes(
    const double[:] close, Py_ssize_t first, Py_ssize_t last, double[::1] kept, long long[::1] places
) noexcept nogil
cdef void _fill_strength(
    const double[::1] kept, const long long[::1] places, Py_ssize_t count, Py_ssize_t first, double[:] raw
) noexcept nogil
cdef void _rank(
    const double[:, ::1] raw, const long long[:, ::1] order, Py_ssize_t least, unsigned char[:, ::1] places
) noexcept nogil
@cython.locals(place=Py_ssize_t)
cdef void _rank_session(
    const double[::1] raw, const long long[::1] order, Py_ssize_t least, unsigned char[::1] places
) noexcept nogil
