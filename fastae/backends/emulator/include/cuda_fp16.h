// CUDA's half precision: IEEE 754's binary16.
#pragma once
#include "language/halves.h"

#define NAME half
#define TYPE __half
#define PAIR __half2
#define RAW __half_raw
#define RAW_PAIR __half2_raw
#define FORMAT Binary16
#include "language/half_type.h"
#undef FORMAT
#undef RAW_PAIR
#undef RAW
#undef PAIR
#undef TYPE
#undef NAME

typedef __half half, nv_half;
typedef __half2 half2, nv_half2;
template <>
inline constexpr char emulator::class_kind<__half> = 'f';

#define CUDART_INF_FP16 __ushort_as_half(0x7c00)
#define CUDART_NAN_FP16 __ushort_as_half(0x7fff)
#define CUDART_MIN_DENORM_FP16 __ushort_as_half(0x0001)
#define CUDART_MAX_NORMAL_FP16 __ushort_as_half(0x7bff)
#define CUDART_NEG_ZERO_FP16 __ushort_as_half(0x8000)
#define CUDART_ZERO_FP16 __ushort_as_half(0x0000)
#define CUDART_ONE_FP16 __ushort_as_half(0x3c00)
