// Signals: a kernel's are faults of its launch, and the host's are reported with their line.
#pragma once

namespace emulator {

struct Machine {  // the registers where a signal came
  uintptr_t code, stack;
  bool is_write;
};

inline Machine machine_of(const void* context) {
  const auto& m = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  return {uintptr_t(m.gregs[REG_RIP]), uintptr_t(m.gregs[REG_RSP]), (m.gregs[REG_ERR] & 2) != 0};
#elif defined(__aarch64__)
  return {uintptr_t(m.pc), uintptr_t(m.sp), false};
#else
  return {};
#endif
}

// The interrupted code and its callers, for a message; Python takes the first line that is the program's own.
inline std::string lines_at(const Machine& m) {
  std::string chain;
  const auto add = [&](uintptr_t at) {
    if (is_image(at)) chain += (chain.empty() ? "" : ",") + text("%llx", (unsigned long long)offset_of((const void*)at));
  };
  void* frames[64];
  const int n = backtrace(frames, 64);
  int i = 0;
  while (i < n && reinterpret_cast<uintptr_t>(frames[i]) != m.code) ++i;  // those before are the handler's
  add(m.code + 1);
  for (++i; i < n; ++i) add(reinterpret_cast<uintptr_t>(frames[i]));
  return "@{" + chain + "}";
}

inline bool is_stack_full(uintptr_t at, uintptr_t stack) { return at + (64 << 10) > stack && at < stack + (64 << 10); }

inline void on_crash(int signal, siginfo_t* info, void* context) {
  const Machine m = machine_of(context);
  const uintptr_t at = reinterpret_cast<uintptr_t>(info->si_addr);
  const bool is_memory = signal == SIGSEGV || signal == SIGBUS;
  if (on_device()) {
    const void* const where = reinterpret_cast<const void*>(m.code + 1);
    crashed_at = lines_at(m);
    report.how = m.is_write ? 2 : 1, report.address = at;
    if (signal == SIGFPE) fail(DIVIDED_BY_ZERO, *current, where);
    if (is_memory && !in_arena(info->si_addr) && is_stack_full(at, m.stack)) fail(STACK_FULL, *current, where);
    if (is_memory) fail(OUT_OF_BOUNDS, *current, where);
  }
  // With a broken heap, or its lock held, no message can be made: a second signal ends the program.
  static bool again;
  if (again) _exit(128 + signal);
  const Fencing own;
  again = true;
  ::signal(SIGALRM, [](int) { _exit(128 + SIGSEGV); });
  alarm(3);
  std::string words = lines_at(m) + ": the host's code ";
  if (is_memory && in_arena(info->si_addr)) {
    words += m.is_write ? "writes to" : "reads";
    complain(words + " the device's memory, which cudaMemcpy copies" + described(at));
    _exit(1);
  }
  if (is_memory && is_stack_full(at, m.stack)) {
    complain(words + "has used up the stack: does a function call itself without end?");
  } else if (is_memory) {
    complain(words + (m.is_write ? "writes" : "reads") + text(" at address %#llx, where it has no memory", (unsigned long long)at) + beyond_piece(at, 1));
  } else {
    complain(words + (signal == SIGFPE ? "divides a whole number by zero" : "meets an instruction that this machine has not"));
  }
  ::signal(signal, SIG_DFL);
  raise(signal);
}

// The time of --patience is over: report where the program is, and end it.
inline void on_timeout(int, siginfo_t*, void* context) {
  const std::string line = lines_at(machine_of(context)) + ": ";
  if (running_task) {
    complain(line + "kernel " + running_task->kernel + ", launched at " + place_of(running_task->at) + ", has not come to an end");
    end_recording();
    report_recording(*running_task, true, true);
  } else {
    complain(line + "the host's code has not come to an end");
  }
  _exit(1);
}

inline void watch() {
  static char stack[256 << 10];
  stack_t other = {};
  other.ss_sp = stack, other.ss_size = sizeof stack;
  sigaltstack(&other, nullptr);
  void* frame;
  backtrace(&frame, 1);  // it loads a library when it is called first
  struct sigaction action = {};
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  action.sa_sigaction = on_crash;
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigaction(signal, &action, nullptr);
  action.sa_sigaction = on_timeout;
  sigaction(SIGRTMAX, &action, nullptr);
}

}  // namespace emulator
