// Launches: refused as CUDA refuses them, recorded where their stream is captured, or run at once.
#pragma once

struct CUgraph_st {
  std::vector<std::function<void()>> work;
};
struct CUgraphExec_st {
  std::vector<std::function<void()>> work;
};
struct CUstream_st {
  emulator::At at;
  unsigned flags = 0;
  int priority = 0;
  CUgraph_st* captured = nullptr;
  CUstream_st* origin = nullptr;  // of the capture
};
struct CUevent_st {
  emulator::At at;
  unsigned flags = 0;
  bool recorded = false;
  std::chrono::steady_clock::time_point when;
  CUstream_st* captured_on = nullptr;
};

namespace emulator {

constexpr int MULTIPROCESSORS = 4, THREADS_A_MULTIPROCESSOR = 2048, BLOCKS_A_MULTIPROCESSOR = 32;
constexpr size_t DEFAULT_SHARED = 48 << 10, MOST_SHARED = 227 << 10, SHARED_A_MULTIPROCESSOR = 228 << 10;

static std::set<CUstream_st*> live_streams;
static std::set<CUevent_st*> live_events;
static std::map<std::string, size_t> allowed_shared;  // dynamic, by kernel
static std::map<const void*, ByAddress> by_address;
static const Task* running_task;
static std::string crashed_at;  // where a signal has ended a kernel, as a message has it

// The name of a kernel, which is the first of a call's arguments, without casts and template arguments.
std::string name_in(const char* written) {
  static const std::string erased = "emulator::erased(";  // whose address is taken
  const std::string inner = written;
  if (inner.compare(0, erased.size(), erased) == 0) return name_in(inner.substr(erased.size()).c_str());
  std::string name;
  int depth = 0;
  for (const char* c = written; *c && !(depth == 0 && *c == ','); ++c) {
    if (*c == '(' || *c == '<') ++depth;
    if (depth == 0 && *c != '&' && *c != '*' && *c != ' ' && *c != ')') name += *c;
    if ((*c == ')' || *c == '>') && --depth < 0) break;
  }
  return name.empty() ? written : name;
}

inline bool is_stream(cudaStream_t s) { return reinterpret_cast<uintptr_t>(s) <= 2 || live_streams.count(s); }
#ifdef CHECKED
inline bool is_blocking(cudaStream_t s) { return reinterpret_cast<uintptr_t>(s) <= 2 || !(s->flags & cudaStreamNonBlocking); }
#endif
inline CUgraph_st* capture_of(cudaStream_t s) { return reinterpret_cast<uintptr_t>(s) <= 2 ? nullptr : s->captured; }

// Run an operation of a stream, or record it in the graph that is captured.
template <class F>
void submit(cudaStream_t stream, F work) {
  if (CUgraph_st* const graph = capture_of(stream)) {
    graph->work.push_back(work);
  } else {
    work();
  }
}

inline cudaError_t as_error(int fault) {
  switch (fault) {
    case MISALIGNED: return cudaErrorMisalignedAddress;
    case ASSERTED: return cudaErrorAssert;
    case STACK_FULL: return cudaErrorHardwareStackError;
    case OUT_OF_BOUNDS: case BEYOND_ARRAY: case BEYOND_SHARED: case NOT_SHARED: case NOT_GLOBAL: return cudaErrorIllegalAddress;
  }
  return cudaErrorLaunchFailure;
}

// Send the report of a fault to Python, as bytes.
inline void report_fault(const Task& task) {
  std::string message = "k" + task.kernel + "\x1f" + place_of(task.at) + "\x1f" + std::to_string(task.shape.shared) + "\x1f";
  const bool outside = report.fault == OUT_OF_BOUNDS || report.fault == UNWRITTEN;
  message += (outside ? described(report.address) : "") + "\x1f" + crashed_at + "\x1f" + (report.words ? report.words : "") + "\x1f";
  const auto* bytes = reinterpret_cast<const unsigned char*>(&report);
  for (size_t i = 0; i < sizeof report; ++i) message += text("%02x", bytes[i]);
  if (channel < 0) message = "k" + text("kernel %s, launched at %s, ends with fault %d", task.kernel.c_str(), place_of(task.at).c_str(), report.fault);
  send_message(message);
}

#ifdef CHECKED
// A remark, since the value may never be used.
inline void report_stray() {
  static std::set<const void*> reported;
  if (stray.where && reported.insert(stray.where).second)
    remark(line_at(stray.where) + text(": lane %u reads from lane %u, which its mask %#x does not name: CUDA leaves the value undefined, and "
                                       "--check sets all its bits", stray.lane, stray.from, stray.mask));
  stray.where = nullptr;
}

inline void report_counts(const Task& task, uint64_t threads) {
  if (!counts) return;
  const Traffic* entries = nullptr;
  const uint64_t n = emulator_traffic(&entries);
  std::string message = "c" + task.kernel + text("\x1f%llu\x1f%llu", (unsigned long long)threads, (unsigned long long)emulator_barriers());
  const auto flush = [&] { send_message(message), message = "c" + task.kernel + "\x1f" "0\x1f" "0"; };
  for (uint64_t i = 0; i < n; ++i) {
    const uint64_t* const numbers = &entries[i].where;
    message += "\x1f";
    for (size_t k = 0; k < sizeof(Traffic) / sizeof(uint64_t); ++k) message += text(k ? " %llu" : "%llu", (unsigned long long)numbers[k]);
    if (message.size() > 50000) flush();
  }
  flush();
}
#else
inline void report_stray() {}
inline void report_counts(const Task&, uint64_t) {}
#endif

}  // namespace emulator
#include "recordings.h"
namespace emulator {

// Run a kernel. What is to be seen of a launch, such as a recording of it, begins and ends here.
inline void run(const Task& task) {
  if (sticky != cudaSuccess || pending != cudaSuccess) return;
  const dim3 g = task.shape.grid, b = task.shape.block;
  const unsigned size[7] = {g.x, g.y, g.z, b.x, b.y, b.z, static_cast<unsigned>(task.shape.shared)};
  emulator_forget();
#ifdef CHECKED
  emulator_count(counts);
  for (const auto& [offset, bytes] : constant_variables) emulator_constant(offset, bytes);
#endif
  begin_work(task.shape.stream, "kernel " + task.kernel, task.at);
  begin_recording(task);
  crashed_at.clear();
  running_task = &task, running_with = reinterpret_cast<uintptr_t>(task.with.get()), running_with_size = task.size;
  int fault;
  {
    const Opened memory;
    device_side = true;
    fault = launch(size, waits_somewhere, task.cooperative, task.body, task.with.get());
    device_side = false;
    end_recording();
  }
  if (!output.empty() && printed.empty()) printed_at = task.at;
  if (printed.size() + output.size() <= MOST_OUTPUT) printed += output; else printed_too_much = true;
  printed_too_much = printed_too_much || lost;
  untouchable_managed = true;
  settle_heap();
  report_stray();
  if (fault) {
    report_fault(task);
    pending = as_error(fault);
  } else {
    report_counts(task, uint64_t{1} * g.x * g.y * g.z * b.x * b.y * b.z);
  }
  report_recording(task, fault);
  running_task = nullptr, running_with_size = 0;
}

// Why CUDA refuses a launch, in words; empty if it does not.
inline std::string refusal(const Task& task, cudaError_t& error) {
  const dim3 g = task.shape.grid, b = task.shape.block;
  const uint64_t threads = uint64_t{1} * b.x * b.y * b.z;
  error = cudaErrorInvalidConfiguration;
  if (threads == 0 || threads > 1024 || b.x > 1024 || b.y > 1024 || b.z > 64)
    return text("a block has 1 to 1024 threads, at most 64 of them in z, not %u x %u x %u = %llu", b.x, b.y, b.z, (unsigned long long)threads);
  if (!g.x || !g.y || !g.z || g.x > 0x7fffffff || g.y > 65535 || g.z > 65535)
    return text("a grid has 1 to 2147483647 blocks in x, 1 to 65535 in y and in z, not %u x %u x %u", g.x, g.y, g.z);
  error = cudaErrorInvalidValue;
  const auto found = allowed_shared.find(name_in(task.kernel.c_str()));
  const size_t most = found == allowed_shared.end() ? DEFAULT_SHARED : found->second;
  if (task.shape.shared > most)
    return text("a block may have %zu bytes of dynamic shared memory, not %zu; cudaFuncSetAttribute with "
                "cudaFuncAttributeMaxDynamicSharedMemorySize may allow it up to %zu", most, task.shape.shared, MOST_SHARED);
  error = cudaErrorInvalidResourceHandle;
  if (!is_stream(task.shape.stream)) return "the stream does not exist: it was not created, or is destroyed";
  error = cudaErrorCooperativeLaunchTooLarge;
  const uint64_t fit = MULTIPROCESSORS * std::min<uint64_t>(THREADS_A_MULTIPROCESSOR / threads, BLOCKS_A_MULTIPROCESSOR);
  const uint64_t blocks = uint64_t{1} * g.x * g.y * g.z;
  if (task.cooperative && blocks > fit)
    return text("a cooperative launch of %llu blocks, of which %llu fit on the device at once", (unsigned long long)blocks, (unsigned long long)fit);
  return "";
}

cudaError_t start(Task task) {
  const Entered call("launch", task.at);
  if (sticky != cudaSuccess) return sticky;
  show_printed();
  cudaError_t error;
  const std::string why = refusal(task, error);
  if (!why.empty()) {
    unread = place_of(task.at) + ": the launch of kernel " + task.kernel + " failed with " + cudaGetErrorName(error);
    remark(place_of(task.at) + ": kernel " + task.kernel + " is not launched: " + why + ": " + cudaGetErrorName(error));
    return last = error;
  }
  for (const Argument& a : task.pointers) {
    const bool name = is_mere_name(a.value);
    if (!name && is_for_device(a.value)) continue;
    complain(text("%s: kernel %s is given %s as its argument %d: %s", place_of(task.at).c_str(), task.kernel.c_str(),
                  name ? "the host's name of a variable of the device" : "a pointer to the host's memory", a.number,
                  name ? "it can use the variable itself, or what cudaGetSymbolAddress gives"
                       : "it can use what cudaMalloc or cudaMallocManaged gives"));
    pending = cudaErrorIllegalAddress;
    return cudaSuccess;
  }
  submit(task.shape.stream, [task] { run(task); });
  return cudaSuccess;
}

void remember(const void* kernel, ByAddress launch) {
  const std::lock_guard<std::recursive_mutex> guard(device_lock);
  by_address[kernel] = launch;
}

cudaError_t launch_by_address(const void* kernel, const char* names, const Shape& shape, void** arguments, bool cooperative, At at) {
  ENTER(cooperative ? "cudaLaunchCooperativeKernel" : "cudaLaunchKernel");
  const auto found = by_address.find(kernel);
  if (found == by_address.end()) return call.wrong(cudaErrorInvalidDeviceFunction, "this is no kernel");
  return found->second(kernel, name_in(names).c_str(), shape, arguments, cooperative, at);
}

cudaError_t set_attribute(const char* names, cudaFuncAttribute attribute, int value, At at) {
  ENTER("cudaFuncSetAttribute");
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  if (value < 0 || size_t(value) > MOST_SHARED)
    return call.failed(cudaErrorInvalidValue, text("a block may have up to %zu bytes of shared memory, not %d", MOST_SHARED, value));
  allowed_shared[name_in(names)] = std::max<size_t>(value, DEFAULT_SHARED);
  return cudaSuccess;
}

cudaError_t get_attributes(cudaFuncAttributes* attributes, const char* names, At at) {
  ENTER("cudaFuncGetAttributes");
  const auto found = allowed_shared.find(name_in(names));
  *attributes = {};
  attributes->maxThreadsPerBlock = 1024, attributes->numRegs = 32, attributes->ptxVersion = attributes->binaryVersion = 90;
  attributes->maxDynamicSharedSizeBytes = found == allowed_shared.end() ? DEFAULT_SHARED : found->second;
  return cudaSuccess;
}

cudaError_t most_blocks(int* blocks, int threads, size_t shared, At at) {
  ENTER("cudaOccupancyMaxActiveBlocksPerMultiprocessor");
  *blocks = 0;
  if (threads <= 0) return call.failed(cudaErrorInvalidValue, "a block has at least one thread");
  if (threads > 1024 || shared > MOST_SHARED) return cudaSuccess;
  const int warps = (threads + 31) / 32;
  *blocks = std::min(THREADS_A_MULTIPROCESSOR / 32 / warps, BLOCKS_A_MULTIPROCESSOR);
  *blocks = std::min<int>(*blocks, SHARED_A_MULTIPROCESSOR / (shared + (1 << 10)));
  return cudaSuccess;
}

cudaError_t most_shared(size_t* bytes, int blocks, int threads, At at) {
  ENTER("cudaOccupancyAvailableDynamicSMemPerBlock");
  if (blocks <= 0 || threads <= 0 || threads > 1024) return call.failed(cudaErrorInvalidValue, "at least one block, of 1 to 1024 threads");
  const size_t each = SHARED_A_MULTIPROCESSOR / blocks;
  *bytes = each > size_t{1} << 10 ? std::min(each - (1 << 10), MOST_SHARED) : 0;
  return cudaSuccess;
}

cudaError_t best_block(int* grid, int* block, int limit, At at) {
  ENTER("cudaOccupancyMaxPotentialBlockSize");
  *block = limit > 0 && limit < 1024 ? limit : 1024;
  *grid = MULTIPROCESSORS * (THREADS_A_MULTIPROCESSOR / *block);
  return cudaSuccess;
}

}  // namespace emulator
