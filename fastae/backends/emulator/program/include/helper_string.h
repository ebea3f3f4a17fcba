// What CUDA's samples include: options of the command line, as -name or --name=value.
#pragma once
#include <cstdlib>
#include <cstring>
#include <string>

#ifndef EXIT_WAIVED
#define EXIT_WAIVED 2
#endif

namespace emulator {
// What stands behind the = of an option, or "" if nothing does; null if the option is not given.
inline const char* option(int count, const char** words, const char* name) {
  for (int i = 1; i < count; ++i) {
    const char* word = words[i] + strspn(words[i], "-");
    const size_t length = strcspn(word, "=");
    if (word == words[i] || length != strlen(name) || strncmp(word, name, length)) continue;
    return word[length] ? word + length + 1 : "";
  }
  return nullptr;
}
}  // namespace emulator

inline bool checkCmdLineFlag(int count, const char** words, const char* name) { return emulator::option(count, words, name); }
inline int getCmdLineArgumentInt(int count, const char** words, const char* name) {
  const char* value = emulator::option(count, words, name);
  return value ? atoi(value) : 0;
}
inline float getCmdLineArgumentFloat(int count, const char** words, const char* name) {
  const char* value = emulator::option(count, words, name);
  return value ? static_cast<float>(atof(value)) : 0;
}
inline bool getCmdLineArgumentString(int count, const char** words, const char* name, char** result) {
  const char* value = emulator::option(count, words, name);
  *result = const_cast<char*>(value);
  return value != nullptr;
}
