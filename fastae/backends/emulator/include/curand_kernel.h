// cuRAND's generators for kernels: XORWOW, which curandState is, and Philox. The bits are those of cuRAND: recurrences of
// Marsaglia (Xorshift RNGs, J. Stat. Softw. 2003) and of Salmon et al. (Parallel random numbers: as easy as 1, 2, 3, SC 2011);
// floating point is as near as the functions here are to CUDA's.
#pragma once
#include "language/device.h"

#ifdef SEEING
#define CURAND_SEE(state) emulator::access_whole(state, sizeof *state, 4, false, CALLER), emulator::access_whole(state, sizeof *state, 4, true, CALLER)
#else
#define CURAND_SEE(state)
#endif
#define CURAND_2POW32_INV 2.3283064e-10f

struct curandStateXORWOW {
  unsigned d, v[5];
  int boxmuller_flag;  // whether there is a second number of a pair, and which
  float boxmuller_extra;
};
typedef curandStateXORWOW curandStateXORWOW_t, curandState_t, curandState;
struct curandStatePhilox4_32_10 {
  uint4 ctr, output;
  uint2 key;
  unsigned STATE;  // how many numbers of the output have been given
  int boxmuller_flag;
  float boxmuller_extra;
};
typedef curandStatePhilox4_32_10 curandStatePhilox4_32_10_t;

namespace emulated_curand {

constexpr int BITS = 160, WORDS = 5, SEQUENCE = 67;  // of XORWOW's state; a sequence has 2^67 numbers

UNSEEN inline void step(unsigned (&v)[WORDS]) {
  const unsigned t = v[0] ^ v[0] >> 2;
  v[0] = v[1], v[1] = v[2], v[2] = v[3], v[3] = v[4];
  v[4] = v[4] ^ v[4] << 4 ^ t ^ t << 1;
}

// A step is linear over the field of two elements. Its powers, of exponents that are powers of two, by columns.
struct Powers {
  unsigned columns[SEQUENCE + 64][BITS][WORDS];
  int known;
};
inline Powers powers;

UNSEEN inline void apply(int power, unsigned (&v)[WORDS]) {
  unsigned result[WORDS] = {};
  for (int bit = 0; bit < BITS; ++bit)
    for (int i = 0; v[bit / 32] >> bit % 32 & 1 && i < WORDS; ++i) result[i] ^= powers.columns[power][bit][i];
  for (int i = 0; i < WORDS; ++i) v[i] = result[i];
}
UNSEEN inline void jump(unsigned (&v)[WORDS], unsigned long long n, int first) {
  for (int power = first; n; ++power, n >>= 1) {
    for (; powers.known <= power; ++powers.known)
      for (int bit = 0; bit < BITS; ++bit) {
        auto& column = powers.columns[powers.known][bit];
        if (powers.known == 0) {
          column[bit / 32] = 1u << bit % 32;
          step(column);
        } else {
          for (int i = 0; i < WORDS; ++i) column[i] = powers.columns[powers.known - 1][bit][i];
          apply(powers.known - 1, column);
        }
      }
    if (n & 1) apply(power, v);
  }
}

UNSEEN inline uint4 rounds(uint4 c, uint2 k) {
  for (int i = 0; i < 10; ++i) {
    const unsigned high0 = __umulhi(0xD2511F53u, c.x), high1 = __umulhi(0xCD9E8D57u, c.z);
    c = {high1 ^ c.y ^ k.x, 0xCD9E8D57u * c.z, high0 ^ c.w ^ k.y, 0xD2511F53u * c.x};
    k.x += 0x9E3779B9u, k.y += 0xBB67AE85u;
  }
  return c;
}
UNSEEN inline void advance(uint4& c, unsigned long long by) {
  const unsigned __int128 low = (static_cast<unsigned __int128>(c.y) << 32 | c.x) + by;
  c.x = static_cast<unsigned>(low), c.y = static_cast<unsigned>(low >> 32);
  if (low >> 64 && !++c.z) ++c.w;
}
UNSEEN inline void advance_sequence(uint4& c, unsigned long long by) {
  const unsigned long long high = (static_cast<unsigned long long>(c.w) << 32 | c.z) + by;
  c.z = static_cast<unsigned>(high), c.w = static_cast<unsigned>(high >> 32);
}

UNSEEN inline unsigned next(curandStateXORWOW* s) {
  step(s->v);
  s->d += 362437;
  return s->v[4] + s->d;
}
UNSEEN inline unsigned next(curandStatePhilox4_32_10* s) {
  const unsigned numbers[] = {s->output.x, s->output.y, s->output.z, s->output.w}, result = numbers[s->STATE++];
  if (s->STATE > 3) advance(s->ctr, 1), s->output = rounds(s->ctr, s->key), s->STATE = 0;
  return result;
}
UNSEEN inline void skip(curandStateXORWOW* s, unsigned long long n) {
  jump(s->v, n, 0);
  s->d += 362437 * static_cast<unsigned>(n);
}
UNSEEN inline void skip_sequences(curandStateXORWOW* s, unsigned long long n) { jump(s->v, n, SEQUENCE); }
UNSEEN inline void skip(curandStatePhilox4_32_10* s, unsigned long long n) {
  s->STATE += n & 3, n /= 4;
  if (s->STATE > 3) ++n, s->STATE -= 4;
  advance(s->ctr, n);
  s->output = rounds(s->ctr, s->key);
}
UNSEEN inline void skip_sequences(curandStatePhilox4_32_10* s, unsigned long long n) {
  advance_sequence(s->ctr, n);
  s->output = rounds(s->ctr, s->key);
}

UNSEEN inline float uniform(unsigned x) { return x * CURAND_2POW32_INV + CURAND_2POW32_INV / 2; }
UNSEEN inline double uniform(unsigned x, unsigned y) {
  return static_cast<double>(x ^ static_cast<unsigned long long>(y) << 21) * 0x1p-53 + 0x1p-54;
}
UNSEEN inline float2 normal(unsigned x, unsigned y) {  // of Box and Muller
  const float angle = y * (CURAND_2POW32_INV * 6.2831855f) + CURAND_2POW32_INV * 6.2831855f / 2;
  const float length = std::sqrt(-2.0f * std::log(uniform(x)));
  return {std::sin(angle) * length, std::cos(angle) * length};
}
UNSEEN inline double2 normal(unsigned x, unsigned y, unsigned z, unsigned w) {
  const double length = std::sqrt(-2 * std::log(uniform(x, y))), angle = 2 * uniform(z, w);
  return {sinpi(angle) * length, cospi(angle) * length};
}
template <class S>
UNSEEN float next_normal(S* s) {
  if (s->boxmuller_flag) {
    s->boxmuller_flag = 0;
    return s->boxmuller_extra;
  }
  const unsigned x = next(s), y = next(s);
  const float2 pair = normal(x, y);
  s->boxmuller_extra = pair.y, s->boxmuller_flag = 1;
  return pair.x;
}
template <class S>
UNSEEN double next_double(S* s) {
  const unsigned x = next(s), y = next(s);
  return uniform(x, y);
}
template <class S>
UNSEEN double2 next_normal2_double(S* s) {
  const unsigned x = next(s), y = next(s), z = next(s), w = next(s);
  return normal(x, y, z, w);
}

}  // namespace emulated_curand

NOT_INLINED inline void curand_init(unsigned long long seed, unsigned long long sequence, unsigned long long offset,
                                    curandStateXORWOW* state) {
#ifdef SEEING
  emulator::access_whole(state, sizeof *state, 4, true, CALLER);
#endif
  const unsigned low = 1099087573u * (static_cast<unsigned>(seed) ^ 0xaad26b49u);
  const unsigned high = 2591861531u * (static_cast<unsigned>(seed >> 32) ^ 0xf7dcefddu);
  *state = {6615241u + high + low, {123456789u + low, 362436069u ^ low, 521288629u + high, 88675123u ^ high, 5783321u + low}, 0, 0};
  emulated_curand::skip_sequences(state, sequence);
  emulated_curand::skip(state, offset);
}
NOT_INLINED inline void curand_init(unsigned long long seed, unsigned long long sequence, unsigned long long offset,
                                    curandStatePhilox4_32_10* state) {
#ifdef SEEING
  emulator::access_whole(state, sizeof *state, 4, true, CALLER);
#endif
  *state = {{0, 0, 0, 0}, {0, 0, 0, 0}, {static_cast<unsigned>(seed), static_cast<unsigned>(seed >> 32)}, 0, 0, 0};
  emulated_curand::skip_sequences(state, sequence);
  emulated_curand::skip(state, offset);
}

#define CURAND_BOTH(type, name, result, ...)             \
  template <class S>                                     \
  NOT_INLINED type name(__VA_ARGS__) {                   \
    CURAND_SEE(state);                                   \
    return result;                                       \
  }
CURAND_BOTH(unsigned, curand, emulated_curand::next(state), S* state)
CURAND_BOTH(float, curand_uniform, emulated_curand::uniform(emulated_curand::next(state)), S* state)
CURAND_BOTH(double, curand_uniform_double, emulated_curand::next_double(state), S* state)
CURAND_BOTH(float, curand_normal, emulated_curand::next_normal(state), S* state)
CURAND_BOTH(double2, curand_normal2_double, emulated_curand::next_normal2_double(state), S* state)
CURAND_BOTH(double, curand_normal_double, emulated_curand::next_normal2_double(state).x, S* state)
CURAND_BOTH(float, curand_log_normal, std::exp(mean + deviation * emulated_curand::next_normal(state)), S* state, float mean,
            float deviation)
CURAND_BOTH(void, skipahead, emulated_curand::skip(state, n), unsigned long long n, S* state)
CURAND_BOTH(void, skipahead_sequence, emulated_curand::skip_sequences(state, n), unsigned long long n, S* state)
#undef CURAND_BOTH
template <class S>
NOT_INLINED float2 curand_normal2(S* state) {
  CURAND_SEE(state);
  const unsigned x = emulated_curand::next(state), y = emulated_curand::next(state);
  return emulated_curand::normal(x, y);
}
NOT_INLINED inline uint4 curand4(curandStatePhilox4_32_10* state) {
  CURAND_SEE(state);
  const unsigned x = emulated_curand::next(state), y = emulated_curand::next(state);
  const unsigned z = emulated_curand::next(state), w = emulated_curand::next(state);
  return {x, y, z, w};
}
UNSEEN inline float4 curand_uniform4(curandStatePhilox4_32_10* state) {
  const uint4 x = curand4(state);
  using emulated_curand::uniform;
  return {uniform(x.x), uniform(x.y), uniform(x.z), uniform(x.w)};
}
UNSEEN inline float4 curand_normal4(curandStatePhilox4_32_10* state) {
  const uint4 x = curand4(state);
  const float2 one = emulated_curand::normal(x.x, x.y), two = emulated_curand::normal(x.z, x.w);
  return {one.x, one.y, two.x, two.y};
}
#undef CURAND_SEE
