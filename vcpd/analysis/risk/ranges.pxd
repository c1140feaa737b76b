cimport cython

cdef double _TIE, _FLAT, _MILLION, _UNKNOWN, _INFINITY
cdef Py_ssize_t _SHORT, _LONG, _FAST, _SLOW

cdef double _atr_pct(
    const double[::1] high, const double[::1] low, const double[::1] close, Py_ssize_t length
) noexcept nogil
@cython.locals(worst=double)
cdef void _measure_gaps(const double[::1] gaps, double threshold, double[::1] out) noexcept nogil
cdef double _overnight_share(
    const double[::1] gaps, const double[::1] intraday, double gap_mean, double intraday_mean
) noexcept nogil
cdef void _measure_ranges(
    const double[:, :, ::1] bars,
    const long long[::1] first,
    double gap_threshold,
    double[:, ::1] workspace,
    double[:, ::1] out,
) noexcept nogil
cdef void _measure_session_parts(
    const double[::1] opening,
    const double[::1] close,
    double gap_threshold,
    double[:, ::1] workspace,
    double[::1] out,
) noexcept nogil
cdef void _fill_traded_values(
    const double[:, ::1] close, const double[:, ::1] volume, const long long[::1] first, double[:, ::1] values
) noexcept nogil
cdef Py_ssize_t _count_finite(const double[::1] values) noexcept nogil
@cython.locals(count=Py_ssize_t)
cdef void _gather_known(
    const double[::1] volumes, const double[::1] returns, const double[::1] values, double[:, ::1] known
) noexcept nogil
cdef void _measure_volume_spread(
    const double[::1] volumes, double spike_ratio, double[::1] out
) noexcept nogil
cdef double _amihud(const double[::1] returns, const double[::1] values) noexcept nogil
@cython.locals(count=Py_ssize_t)
cdef void _measure_volumes(
    const double[:, ::1] volume,
    const double[:, ::1] returns,
    const double[:, ::1] values,
    const long long[::1] first,
    double spike_ratio,
    double[:, ::1] known,
    long long[::1] counts,
    double[:, ::1] out,
) noexcept nogil
@cython.locals(count=Py_ssize_t)
cdef void _fill_medians(
    const double[:, ::1] ordered, const long long[::1] counts, double[:, ::1] out
) noexcept nogil
cdef Py_ssize_t _crossings(const double[::1] close) noexcept nogil
cdef double _log_fit_r2(const double[::1] logs) noexcept nogil
cdef void _measure_trends(
    const double[:, ::1] close, const double[:, ::1] logs, const long long[::1] first, double[:, ::1] out
) noexcept nogil
