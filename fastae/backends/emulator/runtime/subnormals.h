// Subnormal numbers are flushed to 0 where NVIDIA's compiler does so.
#pragma once

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include <cstdint>

namespace emulator {

// While an object of this class lives, subnormal numbers are 0, as CuPy has NVIDIA's compiler do with float (-ftz=true).
class Flushed {
 public:
  explicit Flushed(bool flush) : before_(settings()) {
    if (flush) set(before_ | FLUSH);
  }
  ~Flushed() { set(before_); }

 private:
#if defined(__SSE2__)
  static constexpr uint64_t FLUSH = 0x8040;  // results and operands
  static uint64_t settings() { return _mm_getcsr(); }
  static void set(uint64_t to) { _mm_setcsr(static_cast<unsigned>(to)); }
#elif defined(__aarch64__)
  static constexpr uint64_t FLUSH = 1 << 24;
  static uint64_t settings() {
    uint64_t now;
    asm volatile("mrs %0, fpcr" : "=r"(now));
    return now;
  }
  static void set(uint64_t to) { asm volatile("msr fpcr, %0" : : "r"(to)); }
#else
  static constexpr uint64_t FLUSH = 0;
  static uint64_t settings() { return 0; }
  static void set(uint64_t) {}
#endif
  const uint64_t before_;
};

}  // namespace emulator
