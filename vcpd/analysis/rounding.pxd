cimport cython

cdef double _MOST_SCALED, _MARGIN
cdef Py_ssize_t _MOST_DIGITS

@cython.locals(scale=double, scaled=double, whole=double, share=double)
cpdef double rounded(double value, Py_ssize_t digits) except? -1.0
