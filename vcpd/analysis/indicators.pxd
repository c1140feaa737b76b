cimport cython

cdef double _UNKNOWN, _MOST_SCALED, _ROUNDING_MARGIN
cdef Py_ssize_t _MOST_DIGITS

cdef Py_ssize_t _count_present(const double[:, :] block) noexcept nogil
cdef Py_ssize_t _keep_present(const double[:, :] block, long long[::1] column, double[:, ::1] kept) noexcept nogil
@cython.locals(top=double, bottom=double, unknown=bint)
cdef void _fill_running_sums(const double[:, :] kept, Py_ssize_t count, double[:, ::1] sums) noexcept nogil
cpdef double mean_of(const double[::1] sums, Py_ssize_t t, Py_ssize_t length) noexcept nogil

@cython.locals(highest=double)
cdef double _highest(const double[::1] values, Py_ssize_t first, Py_ssize_t stop) noexcept nogil
@cython.locals(lowest=double)
cdef double _lowest(const double[::1] values, Py_ssize_t first, Py_ssize_t stop) noexcept nogil
cdef Py_ssize_t _keep_known(
    const double[::1] values, Py_ssize_t first, Py_ssize_t stop, double[::1] known
) noexcept nogil
@cython.locals(value=double, at=Py_ssize_t)
cdef void _keep_least(const double[::1] values, double[::1] least) noexcept nogil
@cython.locals(now=double)
cdef bint _is_line_at_high(
    const double[::1] close,
    const double[:] index_close,
    const long long[::1] column,
    Py_ssize_t first,
    Py_ssize_t t,
) noexcept nogil

@cython.locals(scale=double, scaled=double, whole=double, share=double)
cpdef double rounded(double value, Py_ssize_t digits) except? -1.0
