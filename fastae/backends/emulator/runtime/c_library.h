// What kernels call of the C library and a GPU does in its own way: printf, assert, and rounding.
#pragma once
#include <cfenv>
#include <cstdarg>
#include <string>

namespace emulator {

constexpr size_t MOST_OUTPUT = 1 << 20;  // bytes of a launch, as many as CUDA keeps
static std::string output;
static bool lost;  // output beyond that

void rounding(int mode) { std::fesetround(mode); }

[[noreturn]] void fail_assertion(const char* words, const void* where) {
  report.words = words;
  fail(ASSERTED, *current, where);
}

// Returns the number of values, as CUDA's does.
inline int print(const char* format, va_list values) {
  char text[1024];
  va_list again;
  va_copy(again, values);
  const int length = vsnprintf(text, sizeof text, format, values);
  if (output.size() + std::max(length, 0) > MOST_OUTPUT) {
    lost = true;
  } else if (length < static_cast<int>(sizeof text)) {
    output.append(text, std::max(length, 0));
  } else {
    std::string longer(length + 1, 0);
    vsnprintf(longer.data(), longer.size(), format, again);
    output.append(longer, 0, length);
  }
  va_end(again);
  int count = 0;
  for (const char* c = format; *c; ++c)
    if (*c == '%' && c[1] != '%') {
      ++count;
    } else if (*c == '%') {
      ++c;
    }
  return length < 0 ? -1 : count;
}

}  // namespace emulator

// In place of the C library's.
extern "C" {
int printf(const char* format, ...) {
  va_list values;
  va_start(values, format);
  const int count = on_device() ? emulator::print(format, values) : vfprintf(stdout, format, values);
  va_end(values);
  return count;
}
int __printf_chk(int, const char* format, ...) {
  va_list values;
  va_start(values, format);
  const int count = on_device() ? emulator::print(format, values) : vfprintf(stdout, format, values);
  va_end(values);
  return count;
}
void __assert_fail(const char* words, const char* file, unsigned line, const char* function) noexcept {  // as <assert.h> declares it
  if (!on_device()) {
    fprintf(stderr, "%s:%u: %s: Assertion `%s' failed.\n", file, line, function, words);
    abort();
  }
  emulator::fail_assertion(words, CALLER);
}

// The output of the last launch; returns its length, and whether there was more.
uint64_t emulator_output(const char** text, int* more) {
  *text = emulator::output.data(), *more = emulator::lost;
  return emulator::output.size();
}
}
