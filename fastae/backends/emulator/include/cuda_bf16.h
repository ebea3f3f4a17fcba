// CUDA's bfloat16: the upper half of a float.
#pragma once
#include "language/halves.h"

#define NAME bfloat16
#define TYPE __nv_bfloat16
#define PAIR __nv_bfloat162
#define RAW __nv_bfloat16_raw
#define RAW_PAIR __nv_bfloat162_raw
#define FORMAT Bfloat16
#include "language/half_type.h"
#undef FORMAT
#undef RAW_PAIR
#undef RAW
#undef PAIR
#undef TYPE
#undef NAME

typedef __nv_bfloat16 nv_bfloat16;
typedef __nv_bfloat162 nv_bfloat162;
template <>
inline constexpr char emulator::class_kind<__nv_bfloat16> = 'h';

#define CUDART_INF_BF16 __ushort_as_bfloat16(0x7f80)
#define CUDART_NAN_BF16 __ushort_as_bfloat16(0x7fff)
#define CUDART_MIN_DENORM_BF16 __ushort_as_bfloat16(0x0001)
#define CUDART_MAX_NORMAL_BF16 __ushort_as_bfloat16(0x7f7f)
#define CUDART_NEG_ZERO_BF16 __ushort_as_bfloat16(0x8000)
#define CUDART_ZERO_BF16 __ushort_as_bfloat16(0x0000)
#define CUDART_ONE_BF16 __ushort_as_bfloat16(0x3f80)
