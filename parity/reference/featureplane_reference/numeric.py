"""Numbers: exact rounding, the pinned exponential, and 64-bit words."""

from __future__ import annotations

import math
import struct

I64_MAX = (1 << 63) - 1
I64_MIN = -(1 << 63)
MASK64 = (1 << 64) - 1


def round_half_even(x: float) -> int:
    """IEEE ``roundToIntegralTiesToEven`` of a finite float, as an integer."""
    return round(x)


def ratio_half_even(num: int, den: int) -> int:
    """Round the exact rational ``num / den`` (``den > 0``) to the nearest integer, ties to even."""
    floor, rest = divmod(num, den)
    twice = 2 * rest
    if twice > den or (twice == den and floor % 2 == 1):
        return floor + 1
    return floor


def ratio(num: int, den: int) -> float | None:
    """``float(num) / float(den)``: two conversions, one division. ``None`` when it has no value."""
    if den == 0:
        return None
    return float(num) / float(den)


def clamp_i64(x: int) -> int:
    """Saturate to the range of ``i64``."""
    return max(I64_MIN, min(I64_MAX, x))


QUANTUM = 1 << 40  # units of one in which floats enter exact sums


def quantised(x: float) -> tuple[int, bool]:
    """Units of 2**-40, rounded half to even, clamped to 2**40; and whether that clamped."""
    limit = float(QUANTUM)
    clamped = max(-limit, min(limit, x))
    return round(clamped * limit), clamped != x


def word_of_float(x: float) -> int:
    """The bits of a float with -0.0 made 0.0."""
    return int.from_bytes(struct.pack("<d", x + 0.0), "little")


def float_of_word(word: int) -> float:
    """The float with these bits."""
    return struct.unpack("<d", word.to_bytes(8, "little"))[0]


# det_exp: port of `exp` of the `libm` crate 0.2.16, which is FreeBSD's e_exp.c:
# Copyright (C) 2004 by Sun Microsystems, Inc. All rights reserved. Permission to use, copy, modify,
# and distribute this software is freely granted, provided that this notice is preserved.

_LN2HI = 6.93147180369123816490e-01
_LN2LO = 1.90821492927058770002e-10
_INVLN2 = 1.44269504088896338700e00
_P1 = 1.66666666666666019037e-01
_P2 = -2.77777777770155933842e-03
_P3 = 6.61375632143793436117e-05
_P4 = -1.65339022054652515390e-06
_P5 = 4.13813679705723846039e-08
_OVERFLOW = 709.782712893383973096
_UNDERFLOW = -745.13321910194110842

_TWO_P1023 = 2.0**1023
_TWO_M969 = 2.0**-969


def _scalbn(x: float, n: int) -> float:
    """``x * 2**n`` for the exponents that `exp` needs, rounded once."""
    if n > 1023:
        x *= _TWO_P1023
        n -= 1023
    elif n < -1022:
        # 2**-969 keeps a normal x normal, so that only the last product rounds.
        x *= _TWO_M969
        n += 969
    return x * math.ldexp(1.0, n)


def det_exp(x: float) -> float:
    """The exponential from plain IEEE operations: the same bits on every machine."""
    if math.isnan(x):
        return x
    if x > _OVERFLOW:
        return math.inf
    if x < _UNDERFLOW:
        return 0.0
    # The published algorithm compares the high 32 bits of |x| with these constants.
    high = (struct.unpack("<Q", struct.pack("<d", x))[0] >> 32) & 0x7FFFFFFF
    if high > 0x3FD62E42:  # |x| > 0.5 ln2
        if high >= 0x3FF0A2B2:  # |x| >= 1.5 ln2
            k = int(_INVLN2 * x + (-0.5 if x < 0.0 else 0.5))
        else:
            k = -1 if x < 0.0 else 1
        hi = x - float(k) * _LN2HI
        lo = float(k) * _LN2LO
        x = hi - lo
    elif high > 0x3E300000:  # |x| > 2**-28
        k = 0
        hi = x
        lo = 0.0
    else:
        return 1.0 + x
    xx = x * x
    c = x - xx * (_P1 + xx * (_P2 + xx * (_P3 + xx * (_P4 + xx * _P5))))
    y = 1.0 + (x * c / (2.0 - c) - lo + hi)
    return y if k == 0 else _scalbn(y, k)


# det_ln: port of `log` of the `libm` crate 0.2.16, which is FreeBSD's e_log.c:
# Copyright (C) 1993 by Sun Microsystems, Inc. All rights reserved. Permission to use, copy, modify,
# and distribute this software is freely granted, provided that this notice is preserved.

_LG1 = 6.666666666666735130e-01
_LG2 = 3.999999999940941908e-01
_LG3 = 2.857142874366239149e-01
_LG4 = 2.222219843214978396e-01
_LG5 = 1.818357216161805012e-01
_LG6 = 1.531383769920937332e-01
_LG7 = 1.479819860511658591e-01
_TWO_P54 = 2.0**54


def det_ln(x: float) -> float:
    """The natural logarithm from plain IEEE operations: the same bits on every machine."""
    if math.isnan(x) or x == math.inf:
        return x
    if x == 0.0:
        return -math.inf
    if x < 0.0:
        return math.nan
    k = 0
    if x < 2.0**-1022:
        k = -54
        x *= _TWO_P54
    # x = 2**k * (1 + f) with 1 + f in [sqrt(2)/2, sqrt(2)); the bounds are those of the upper word.
    mantissa, exponent = math.frexp(x)  # mantissa in [0.5, 1)
    mantissa, exponent = 2.0 * mantissa, exponent - 1
    upper = struct.unpack("<Q", struct.pack("<d", mantissa))[0] >> 32
    if upper >= 0x3FF6A09E:
        mantissa, exponent = 0.5 * mantissa, exponent + 1
    k += exponent
    f = mantissa - 1.0
    hfsq = 0.5 * f * f
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    t1 = w * (_LG2 + w * (_LG4 + w * _LG6))
    t2 = z * (_LG1 + w * (_LG3 + w * (_LG5 + w * _LG7)))
    r = t2 + t1
    dk = float(k)
    return s * (hfsq + r) + dk * _LN2LO - hfsq + f + dk * _LN2HI
