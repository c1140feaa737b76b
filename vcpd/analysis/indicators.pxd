cimport cython

cdef double _UNKNOWN

cdef Py_ssize_t _keep_present(const double[:, :] block, long long[::1] column, double[:, ::1] kept) noexcept nogil
@cython.locals(top=double, bottom=double, unknown=bint)
cdef void _fill_running_sums(const double[:, ::1] kept, Py_ssize_t count, double[:, ::1] sums) noexcept nogil
cpdef double mean_of(const double[::1] sums, Py_ssize_t t, Py_ssize_t length) noexcept nogil
