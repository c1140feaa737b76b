cimport cython

from vcpd.analysis.contractions cimport ContractionTable, SwingTracer

cdef double _MARGIN, _TOLERANCE, _TIE, _INFINITY
cdef Py_ssize_t _MOST

@cython.locals(pivot=double)
cdef Py_ssize_t _first_breakout(
    const long long[::1] contractions,
    const long long[:, ::1] high_at,
    const double[::1] high,
    const double[::1] close,
    Py_ssize_t first,
    Py_ssize_t since,
) noexcept nogil

cdef class BaseSearch:
    cdef SwingTracer _tracer
    cdef ContractionTable _table
    cdef const double[::1] _high, _low
    cdef double[::1] _highest_later
    cdef long long[::1] _contractions
    cdef double[::1] _value, _base_depth, _advance
    cdef unsigned char[::1] _valid, _confirmed
    cdef long long[:, ::1] _high_at, _low_at
    cdef Py_ssize_t _first, _anchor, _anchor_side, _anchor_lookback, _min_base_sessions, _max_base_sessions
    cdef Py_ssize_t _min_contractions, _max_contractions, _advance_window
    cdef double _own_advance, _lowest, _highest, _max_rise, _cap_share, _length_bonus
    cdef double _base_depth_least, _base_depth_most, _final_depth_most, _max_final_to_first, _advance_least

    cdef void _search(self, Py_ssize_t last) noexcept nogil
    cdef void _fill_highest_later(self, Py_ssize_t oldest) noexcept nogil
    cdef bint _is_anchor(self, Py_ssize_t anchor) noexcept nogil
    @cython.locals(lowest=double)
    cdef double _prior_advance(self, Py_ssize_t anchor) noexcept nogil
    cdef void _search_anchor(self, Py_ssize_t anchor, Py_ssize_t stop) noexcept nogil
    cdef void _add_peak(self, Py_ssize_t peak, Py_ssize_t swing) noexcept nogil
    cdef bint _still_caps(self) noexcept nogil
    @cython.locals(may_be_valid=bint)
    cdef double _minimum_value(self, Py_ssize_t t) noexcept nogil
    cdef double _bonus(self, Py_ssize_t t) noexcept nogil
    @cython.locals(is_known=bint)
    cdef bint _base_holds(self) noexcept nogil
    cdef bint _chain_holds(self) noexcept nogil
    @cython.locals(link=Py_ssize_t)
    cdef double _first_depth(self) noexcept nogil
    @cython.locals(valid=bint, was_valid=bint)
    cdef void _keep_if_better(self, Py_ssize_t t) noexcept nogil
    @cython.locals(link=Py_ssize_t)
    cdef void _write_chain(self, Py_ssize_t slot) noexcept nogil
