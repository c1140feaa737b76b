cimport cython

cdef double _TOLERANCE, _TIE, _INFINITY, _LEAST_SHARE
cdef Py_ssize_t _MOST, _ATR_SESSIONS

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

cpdef bint is_reclaimed(
    const double[::1] low, const double[::1] close, double level, Py_ssize_t sessions
) noexcept nogil

cdef class ContractionTable:
    cdef const double[::1] _high, _low, _close
    cdef long long[::1] _swing_at, _extreme, _counter
    cdef long long[::1] _is_open, _peak_low_at, _first_link, _stop_link
    cdef long long[::1] peak_at
    cdef double[::1] _peak_high, _peak_low, _top, _top_ever, _pullback, _fall
    cdef long long[::1] link_peak, link_low_at
    cdef double[::1] link_depth, _link_low, _link_pullback, _link_most
    cdef double[:, ::1] best
    cdef long long[:, ::1] back
    cdef bint _leg_is_open
    cdef double _leg_low, _leg_top, _leg_top_ever, _leg_pullback
    cdef Py_ssize_t _leg_low_at
    cdef double end_value
    cdef Py_ssize_t end_link, end_contractions, end_peak_at, end_low_at
    cdef bint end_is_confirmed
    cdef double _min_rally_recovery, _max_peak_rise, _max_depth_ratio, _max_hidden_pullback
    cdef double _deep_final_depth, _min_depth, _ideal_ratio_log2, _ratio_penalty, _leg_cost, _undercut_share
    cdef Py_ssize_t _min_peak_gap, _min_final_sessions, _max_reclaim_sessions

    cdef void _reset_end(self, double value) noexcept nogil
    cdef void open_peak(self, Py_ssize_t peak, Py_ssize_t at, double low) noexcept nogil
    cdef void _extend_leg(self, Py_ssize_t peak, Py_ssize_t low_at, double low, double high) noexcept nogil
    cdef void add_peak(self, Py_ssize_t peak, Py_ssize_t low_at, bint keep) noexcept nogil
    cdef void _keep_leg(self, Py_ssize_t peak) noexcept nogil
    cdef bint _is_contraction(self, Py_ssize_t peak, Py_ssize_t next_peak) noexcept nogil
    @cython.locals(reached=bint)
    cdef Py_ssize_t _add_link(self, Py_ssize_t slot, Py_ssize_t peak, Py_ssize_t next_at) noexcept nogil
    cdef void _extend_chains(self, Py_ssize_t slot, Py_ssize_t before, double merit) noexcept nogil
    @cython.locals(highest=double)
    cdef double _highest_value(self, Py_ssize_t slot) noexcept nogil
    cdef double _merit(self, double ratio) noexcept nogil
    cdef bint _is_shallower(self, Py_ssize_t before, double depth) noexcept nogil
    cdef bint _holds_prior_low(self, Py_ssize_t peak, Py_ssize_t last, Py_ssize_t before) noexcept nogil
    cdef void complete(self, Py_ssize_t peaks, Py_ssize_t known, Py_ssize_t t, double to_beat) noexcept nogil
    cdef void _leg_while_falling(self, Py_ssize_t peak, Py_ssize_t extreme) noexcept nogil
    cdef void _leg_while_rising(
        self, Py_ssize_t peak, Py_ssize_t low_at, Py_ssize_t extreme, Py_ssize_t counter
    ) noexcept nogil
    cdef void _with_unconfirmed_peak(self, Py_ssize_t peaks, Py_ssize_t low_at, Py_ssize_t t) noexcept nogil
    cdef bint _is_final(self, Py_ssize_t peak_at, Py_ssize_t t, double depth) noexcept nogil
    cdef void _complete_with(self, Py_ssize_t peak, Py_ssize_t t) noexcept nogil
    cdef void _complete_after(self, Py_ssize_t slot, Py_ssize_t peak, Py_ssize_t t, double merit) noexcept nogil
    cdef bint _is_better(self, double value, Py_ssize_t contractions) noexcept nogil
