// Messages for the user: they go to the Python process that started this program and finds lines, or to stderr.
#pragma once

namespace emulator {

constexpr uintptr_t PAGE = 4096;
static int channel = -1;  // a socket to Python
static bool counts;       // of accesses are wanted
static std::vector<std::pair<uint64_t, uint64_t>> constant_variables;  // offsets and bytes, found by Python

__attribute__((format(printf, 1, 2))) inline std::string text(const char* format, ...) {
  va_list values;
  va_start(values, format);
  char buffer[4096];
  vsnprintf(buffer, sizeof buffer, format, values);
  va_end(values);
  return buffer;
}

inline std::string place_of(At at) {
  const char* slash = strrchr(at.file, '/');
  return text("%s:%d", slash ? slash + 1 : at.file, at.line);
}

// Send a message, whose first letter is its kind: (r)emark, (f)ault, (k)ernel's fault, (c)ounts, a (t)raced launch. In the
// first two, @{12ab} stands for the line of that place in the code. Python answers when it has printed the message.
inline void send_message(const std::string& message) {
  char answer;
  if (channel >= 0 && send(channel, message.data(), message.size(), MSG_NOSIGNAL) >= 0) {
    while (recv(channel, &answer, 1, 0) < 0 && errno == EINTR) {
    }
  } else if (message[0] != 'c' && message[0] != 't') {
    fprintf(stderr, "%s\n", message.c_str() + 1);
  }
}
inline void remark(const std::string& words) { send_message("r" + words); }
inline void complain(const std::string& words) { send_message("f" + words); }
inline std::string line_at(const void* code) {
  return text("@{%llx}", static_cast<unsigned long long>(offset_of(code)));
}

// The callers in this program, for a message; Python takes the first line that is the program's own.
inline std::string line_of_caller() {
  void* frames[64];
  const int n = backtrace(frames, 64);
  std::string chain;
  for (int i = 0; i < n; ++i)
    if (frames[i] >= static_cast<const void*>(__ehdr_start) && frames[i] < static_cast<const void*>(_end))
      chain += (chain.empty() ? "" : ",") + text("%llx", static_cast<unsigned long long>(offset_of(frames[i])));
  return "@{" + chain + "}";
}

inline void connect_to_python() {
  const char* given = getenv("FASTAE_RUN");
  if (!given) return;
  channel = atoi(given);
  counts = strstr(given, "count") != nullptr;
  fcntl(channel, F_SETFD, FD_CLOEXEC);
  for (const char* c = strchr(given, ':'); c; c = strchr(c + 1, ':')) {
    unsigned long long offset, bytes;
    if (sscanf(c, ":%llx,%llx", &offset, &bytes) == 2) constant_variables.emplace_back(offset, bytes);
  }
  unsetenv("FASTAE_RUN");
}

}  // namespace emulator
