// CUDA for a whole program: put before it, behind device.h. Host and kernels are one compilation, in which __CUDA_ARCH__
// is not defined; in the body of a function that is the device's alone rewrite.py has another name for it.
#pragma once
#include <cstdlib>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#define __CUDACC__ 1
#define __NVCC__ 1
#define __CUDACC_VER_MAJOR__ 12
#define __CUDACC_VER_MINOR__ 4
#define __CUDACC_VER_BUILD__ 0
#define CUDART_VERSION 12040
#define CUDA_VERSION 12040
#define EMULATED_CUDA_ARCH 900
#define EMULATED_VARIABLE __attribute__((section("cudevice")))
#define __managed__ __attribute__((section("cumanaged")))

// Variables here, not macros: a program may have variables of its own of these names.
#undef threadIdx
#undef blockIdx
#undef blockDim
#undef gridDim
#undef clock
static const dim3 &threadIdx = emulator::thread_index, &blockIdx = emulator::block_index;
static const dim3 &blockDim = emulator::block_size, &gridDim = emulator::grid;

#include "types.h"

namespace emulator {

extern const bool waits_somewhere;    // some kernel waits for other threads, so that threads must be fibers
extern const bool variables_unknown;  // not all variables of the device are in the section for them

struct At {  // a place in the source
  const char* file = "";
  int line = 0;
  static constexpr At here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
};

struct Shape {  // of a launch
  dim3 grid, block;
  size_t shared;
  cudaStream_t stream;
  Shape(dim3 grid, dim3 block, size_t shared = 0, cudaStream_t stream = nullptr)
      : grid(grid), block(block), shared(shared), stream(stream) {}
  template <class T>
  explicit Shape(T&&) {
    static_assert(!sizeof(T), "a launch needs a grid and a block: <<<grid, block>>>");
  }
};

void has_address(const void* symbol, size_t bytes);  // the host has asked for it

struct Argument {  // a pointer, which argument it is, and to what
  const void* value;
  int number;
  Type type;
};

// A launch, with all that it takes to run it, perhaps later and again.
struct Task {
  std::string kernel;
  Shape shape;
  bool cooperative;
  At at;
  void (*body)(void*);
  std::shared_ptr<void> with;
  size_t size;  // in bytes
  std::vector<Argument> pointers;
};
cudaError_t start(Task task);
std::string name_in(const char* arguments);  // of the kernel, which is the first of a call's arguments as they are written

template <class P, class = size_t>
constexpr Type type_behind = type_of<void*>();
template <class P>  // where its size is known
constexpr Type type_behind<P, decltype(sizeof(P))> = type_of<std::remove_all_extents_t<P>*>();
template <class T>
constexpr bool is_data_pointer = std::is_pointer_v<T> && !std::is_function_v<std::remove_pointer_t<T>>;

// A kernel and its arguments, for as long as the launch lasts.
template <class F, class... A>
struct Call {
  F kernel;
  std::tuple<A...> kept;
  template <size_t... I>
  UNSEEN void run(std::index_sequence<I...>) {
    kernel(std::get<I>(kept)...);
  }
  UNSEEN static void body(void* self) { static_cast<Call*>(self)->run(std::index_sequence_for<A...>()); }
  template <size_t... I>
  std::vector<Argument> pointers(std::index_sequence<I...>) {
    std::vector<Argument> found;
    const auto look = [&](const auto& x, int number) {
      using T = std::decay_t<decltype(x)>;
      if constexpr (is_data_pointer<T>) found.push_back({(const void*)x, number, type_behind<std::remove_pointer_t<T>>});
    };
    (look(std::get<I>(kept), int(I) + 1), ...);
    return found;
  }
};
template <class F, class... A>
cudaError_t begin(const char* name, const F& kernel, const Shape& shape, bool cooperative, At at, A... kept) {
  using Whole = Call<F, A...>;
  const auto with = std::make_shared<Whole>(Whole{kernel, std::tuple<A...>(std::move(kept)...)});
  return start({name, shape, cooperative, at, Whole::body, with, sizeof(Whole), with->pointers(std::index_sequence_for<A...>())});
}

// NULL is a number of the type long.
template <class T>
using NullAsPointer = std::conditional_t<std::is_same_v<T, long>, std::nullptr_t, T>;
template <class To, class From>
To null_or(From&& value) {
  if constexpr (std::is_same_v<To, std::nullptr_t>) {
    return nullptr;
  } else {
    return std::forward<From>(value);
  }
}

// What `kernel<<<grid, block, shared, stream>>>` becomes; it is called with the arguments.
template <class F>
struct Launcher {
  const char* name;
  F kernel;
  Shape shape;
  At at;
  template <class... A>
  void operator()(A&&... arguments) const {
    if constexpr (std::is_invocable_v<const F&, std::decay_t<A>&...>) {
      begin(name, kernel, shape, false, at, std::decay_t<A>(std::forward<A>(arguments))...);
    } else {
      static_assert(std::is_invocable_v<const F&, NullAsPointer<std::decay_t<A>>&...>,
                    "the kernel does not take these arguments");
      begin(name, kernel, shape, false, at, null_or<NullAsPointer<std::decay_t<A>>>(std::forward<A>(arguments))...);
    }
  }
};
template <class F>
Launcher<F> launcher(const char* name, F kernel, Shape shape, At at = At::here()) {
  return {name, kernel, shape, at};
}

// Kernels that are launched by their address, with the addresses of their arguments.
using ByAddress = cudaError_t (*)(const void* kernel, const char* name, const Shape&, void** arguments, bool cooperative, At);
void remember(const void* kernel, ByAddress launch);
cudaError_t launch_by_address(const void* kernel, const char* names, const Shape&, void** arguments, bool cooperative, At);
template <class... P>
struct Typed {
  template <size_t... I>
  static cudaError_t run(void (*kernel)(P...), const char* name, const Shape& shape, void** arguments, bool cooperative, At at,
                         std::index_sequence<I...>) {
    return begin(name, kernel, shape, cooperative, at, std::remove_cv_t<P>(*static_cast<std::remove_reference_t<P>*>(arguments[I]))...);
  }
  static cudaError_t launch(const void* kernel, const char* name, const Shape& shape, void** arguments, bool cooperative, At at) {
    return run(reinterpret_cast<void (*)(P...)>(const_cast<void*>(kernel)), name, shape, arguments, cooperative, at,
               std::index_sequence_for<P...>());
  }
};
template <class... P>
void* erased(void (*kernel)(P...)) {
  void* const address = reinterpret_cast<void*>(kernel);
  remember(address, Typed<P...>::launch);
  return address;
}
inline const void* erased(const void* kernel) { return kernel; }
inline const void* erased(void* kernel) { return kernel; }

inline const void* address_of(const void* kernel) { return kernel; }
template <class R, class... P>
const void* address_of(R (*kernel)(P...)) { return reinterpret_cast<const void*>(kernel); }

// What kernels have for malloc, free and new; `delete` asks where its pointer leads.
enum Heap { heap };
enum HeapHere { heap_here };
void* device_malloc(size_t bytes);
void* malloc_here(size_t bytes);  // the device's or the host's
void device_free(void* pointer);

cudaError_t allocate(void** pointer, size_t bytes, int kind, const char* by, At at);
cudaError_t copy_symbol(void* symbol, size_t size, void* other, size_t count, size_t offset, cudaMemcpyKind, bool to, const char* by, At, cudaStream_t);
cudaError_t set_attribute(const char* names, cudaFuncAttribute, int value, At);
cudaError_t get_attributes(cudaFuncAttributes*, const char* names, At);
cudaError_t most_blocks(int* blocks, int threads, size_t shared, At);
cudaError_t most_shared(size_t* bytes, int blocks, int threads, At);
cudaError_t best_block(int* grid, int* block, int limit, At);
template <class F>
cudaError_t set_attribute(const char* names, F, cudaFuncAttribute attribute, int value, At at = At::here()) {
  return set_attribute(names, attribute, value, at);
}
template <class F>
cudaError_t get_attributes(const char* names, cudaFuncAttributes* attributes, F, At at = At::here()) {
  return get_attributes(attributes, names, at);
}
template <class F>
cudaError_t launch_kernel(bool cooperative, const char* names, F kernel, dim3 grid, dim3 block, void** arguments,
                          size_t shared = 0, cudaStream_t stream = nullptr, At at = At::here()) {
  return launch_by_address(erased(kernel), names, Shape(grid, block, shared, stream), arguments, cooperative, at);
}
inline Shape shape_of(const cudaLaunchConfig_t* config) {
  return Shape(config->gridDim, config->blockDim, config->dynamicSmemBytes, config->stream);
}
inline bool is_cooperative(const cudaLaunchConfig_t* config) {
  bool cooperative = false;
  for (unsigned i = 0; i < config->numAttrs; ++i)
    cooperative = cooperative || (config->attrs[i].id == cudaLaunchAttributeCooperative && config->attrs[i].val.cooperative);
  return cooperative;
}
template <class F>
cudaError_t launch_kernel_by_config(const char* names, const cudaLaunchConfig_t* config, F kernel, void** arguments, At at = At::here()) {
  return launch_by_address(erased(kernel), names, shape_of(config), arguments, is_cooperative(config), at);
}
template <class... P, class... A>
cudaError_t launch_by_config(const char* names, const cudaLaunchConfig_t* config, At at, void (*kernel)(P...), A&&... arguments) {
  return begin(name_in(names).c_str(), kernel, shape_of(config), is_cooperative(config), at, std::remove_cv_t<P>(std::forward<A>(arguments))...);
}

}  // namespace emulator

inline void* operator new(size_t bytes, emulator::Heap) { return emulator::device_malloc(bytes); }
inline void* operator new[](size_t bytes, emulator::Heap) { return emulator::device_malloc(bytes); }
inline void* operator new(size_t bytes, emulator::HeapHere) { return emulator::malloc_here(bytes); }
inline void* operator new[](size_t bytes, emulator::HeapHere) { return emulator::malloc_here(bytes); }

#define HERE emulator::At at = emulator::At::here()

// Errors and devices.
cudaError_t cudaGetLastError();
cudaError_t cudaPeekAtLastError();
const char* cudaGetErrorString(cudaError_t error);
const char* cudaGetErrorName(cudaError_t error);
cudaError_t cudaDeviceSynchronize(HERE);
inline cudaError_t cudaThreadSynchronize(HERE) { return cudaDeviceSynchronize(at); }
cudaError_t cudaDeviceReset(HERE);
inline cudaError_t cudaThreadExit(HERE) { return cudaDeviceReset(at); }
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaSetDevice(int device, HERE);
cudaError_t cudaChooseDevice(int* device, const cudaDeviceProp*);
cudaError_t cudaSetDeviceFlags(unsigned);
cudaError_t cudaGetDeviceFlags(unsigned* flags);
cudaError_t cudaSetValidDevices(int* devices, int count);
cudaError_t cudaInitDevice(int device, unsigned deviceFlags, unsigned flags, HERE);
cudaError_t cudaDeviceGetByPCIBusId(int* device, const char* words, HERE);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device, HERE);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device, HERE);
cudaError_t cudaDeviceGetPCIBusId(char* text, int length, int device, HERE);
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaRuntimeGetVersion(int* version);
cudaError_t cudaMemGetInfo(size_t* available, size_t* total);
cudaError_t cudaDeviceGetLimit(size_t* value, cudaLimit limit);
cudaError_t cudaDeviceSetLimit(cudaLimit limit, size_t value);
cudaError_t cudaDeviceSetCacheConfig(cudaFuncCache);
cudaError_t cudaDeviceSetSharedMemConfig(cudaSharedMemConfig);
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest);
cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer, HERE);
cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags, HERE);
cudaError_t cudaDeviceDisablePeerAccess(int peer, HERE);
cudaError_t cudaProfilerStart();
cudaError_t cudaProfilerStop();

// Memory.
template <class T>
cudaError_t cudaMalloc(T** pointer, size_t bytes, HERE) {
  return emulator::allocate((void**)pointer, bytes, 0, "cudaMalloc", at);
}
template <class T>
cudaError_t cudaMallocAsync(T** pointer, size_t bytes, cudaStream_t, HERE) {
  return emulator::allocate((void**)pointer, bytes, 0, "cudaMallocAsync", at);
}
template <class T>
cudaError_t cudaMallocManaged(T** pointer, size_t bytes, unsigned = cudaMemAttachGlobal, HERE) {
  return emulator::allocate((void**)pointer, bytes, 1, "cudaMallocManaged", at);
}
template <class T>
cudaError_t cudaMallocHost(T** pointer, size_t bytes, unsigned = 0, HERE) {
  return emulator::allocate((void**)pointer, bytes, 2, "cudaMallocHost", at);
}
template <class T>
cudaError_t cudaHostAlloc(T** pointer, size_t bytes, unsigned = 0, HERE) {
  return emulator::allocate((void**)pointer, bytes, 2, "cudaHostAlloc", at);
}
template <class T>
cudaError_t cudaMallocPitch(T** pointer, size_t* pitch, size_t width, size_t height, HERE) {
  *pitch = (width + 511) / 512 * 512;
  return emulator::allocate((void**)pointer, *pitch * height, 0, "cudaMallocPitch", at);
}
cudaError_t cudaFree(const void* pointer, HERE);
cudaError_t cudaFreeAsync(void* pointer, cudaStream_t, HERE);
cudaError_t cudaFreeHost(void* pointer, HERE);
cudaError_t cudaHostRegister(void* pointer, size_t bytes, unsigned flags, HERE);
cudaError_t cudaHostUnregister(void* pointer, HERE);
cudaError_t cudaHostGetFlags(unsigned* flags, void* pointer, HERE);
template <class T>
cudaError_t cudaHostGetDevicePointer(T** device, void* host, unsigned) {
  *device = static_cast<T*>(host);
  return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer);
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, HERE);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t = nullptr, HERE);
cudaError_t cudaMemcpyPeer(void* to, int, const void* from, int, size_t bytes, HERE);
cudaError_t cudaMemcpy2D(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width, size_t height,
                         cudaMemcpyKind kind, HERE);
cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width, size_t height,
                              cudaMemcpyKind kind, cudaStream_t = nullptr, HERE);
cudaError_t cudaMemset(void* to, int value, size_t bytes, HERE);
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t = nullptr, HERE);
cudaError_t cudaMemset2D(void* to, size_t pitch, int value, size_t width, size_t height, HERE);
cudaError_t cudaMemset2DAsync(void* to, size_t pitch, int value, size_t width, size_t height, cudaStream_t = nullptr, HERE);
cudaError_t cudaMemcpyPeerAsync(void* to, int, const void* from, int, size_t bytes, cudaStream_t = nullptr, HERE);
cudaError_t cudaMalloc3D(cudaPitchedPtr* pointer, cudaExtent extent, HERE);
cudaError_t cudaMemset3D(cudaPitchedPtr to, int value, cudaExtent extent, HERE);
cudaError_t cudaMemset3DAsync(cudaPitchedPtr to, int value, cudaExtent extent, cudaStream_t = nullptr, HERE);
cudaError_t cudaMemcpy3D(const cudaMemcpy3DParms* copy, HERE);
cudaError_t cudaMemcpy3DAsync(const cudaMemcpy3DParms* copy, cudaStream_t = nullptr, HERE);
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device, HERE);
cudaError_t cudaDeviceGetMemPool(cudaMemPool_t* pool, int device, HERE);
cudaError_t cudaDeviceSetMemPool(int device, cudaMemPool_t pool, HERE);
cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* properties, HERE);
cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool, HERE);
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value, HERE);
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value, HERE);
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, size_t keep, HERE);
template <class T>
cudaError_t cudaMallocFromPoolAsync(T** pointer, size_t bytes, cudaMemPool_t, cudaStream_t, HERE) {
  return emulator::allocate((void**)pointer, bytes, 0, "cudaMallocFromPoolAsync", at);
}
template <class T>
cudaError_t cudaMallocAsync(T** pointer, size_t bytes, cudaMemPool_t, cudaStream_t, HERE) {
  return emulator::allocate((void**)pointer, bytes, 0, "cudaMallocAsync", at);
}
cudaError_t cudaMemPrefetchAsync(const void*, size_t, int, cudaStream_t = nullptr);
cudaError_t cudaMemAdvise(const void*, size_t, cudaMemoryAdvise, int);
template <class T>
cudaError_t cudaMemcpyToSymbol(const T& symbol, const void* from, size_t count, size_t offset = 0,
                               cudaMemcpyKind kind = cudaMemcpyHostToDevice, HERE) {
  return emulator::copy_symbol((void*)&symbol, sizeof(T), (void*)from, count, offset, kind, true, "cudaMemcpyToSymbol", at, nullptr);
}
template <class T>
cudaError_t cudaMemcpyToSymbolAsync(const T& symbol, const void* from, size_t count, size_t offset, cudaMemcpyKind kind,
                                    cudaStream_t stream = nullptr, HERE) {
  return emulator::copy_symbol((void*)&symbol, sizeof(T), (void*)from, count, offset, kind, true, "cudaMemcpyToSymbolAsync", at, stream);
}
template <class T>
cudaError_t cudaMemcpyFromSymbol(void* to, const T& symbol, size_t count, size_t offset = 0,
                                 cudaMemcpyKind kind = cudaMemcpyDeviceToHost, HERE) {
  return emulator::copy_symbol((void*)&symbol, sizeof(T), to, count, offset, kind, false, "cudaMemcpyFromSymbol", at, nullptr);
}
template <class T>
cudaError_t cudaMemcpyFromSymbolAsync(void* to, const T& symbol, size_t count, size_t offset, cudaMemcpyKind kind,
                                      cudaStream_t stream = nullptr, HERE) {
  return emulator::copy_symbol((void*)&symbol, sizeof(T), to, count, offset, kind, false, "cudaMemcpyFromSymbolAsync", at, stream);
}
template <class P, class T>
cudaError_t cudaGetSymbolAddress(P** pointer, const T& symbol) {
  emulator::has_address(&symbol, sizeof symbol);
  *pointer = (P*)&symbol;
  return cudaSuccess;
}
template <class T>
cudaError_t cudaGetSymbolSize(size_t* size, const T&) {
  *size = sizeof(T);
  return cudaSuccess;
}

// Streams, events, graphs.
cudaError_t cudaStreamCreate(cudaStream_t* stream, HERE);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags, HERE);
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int priority, HERE);
cudaError_t cudaStreamGetPriority(cudaStream_t, int* priority);
cudaError_t cudaStreamGetFlags(cudaStream_t, unsigned* flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream, HERE);
cudaError_t cudaStreamSynchronize(cudaStream_t stream, HERE);
cudaError_t cudaStreamQuery(cudaStream_t stream, HERE);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned = 0, HERE);
cudaError_t cudaStreamAddCallback(cudaStream_t stream, cudaStreamCallback_t function, void* with, unsigned, HERE);
cudaError_t cudaStreamAttachMemAsync(cudaStream_t, void*, size_t = 0, unsigned = cudaMemAttachSingle);
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* with, HERE);
cudaError_t cudaEventCreate(cudaEvent_t* event, unsigned flags = cudaEventDefault, HERE);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags, HERE);
cudaError_t cudaEventDestroy(cudaEvent_t event, HERE);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream = nullptr, HERE);
inline cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream = nullptr, unsigned = 0, HERE) {
  return cudaEventRecord(event, stream, at);
}
cudaError_t cudaEventSynchronize(cudaEvent_t event, HERE);
cudaError_t cudaEventQuery(cudaEvent_t event, HERE);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end, HERE);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode = cudaStreamCaptureModeGlobal, HERE);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph, HERE);
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long = 0, HERE);
inline cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, cudaGraphNode_t*, char*, size_t, HERE) {
  return cudaGraphInstantiate(exec, graph, 0, at);
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream, HERE);
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count);
inline cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long = 0, HERE) {
  return cudaGraphInstantiate(exec, graph, 0, at);
}
inline cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);

// Kernels by name or address.
#define cudaFuncSetAttribute(...) emulator::set_attribute(#__VA_ARGS__, __VA_ARGS__)
#define cudaFuncGetAttributes(attributes, ...) emulator::get_attributes(#__VA_ARGS__, attributes, __VA_ARGS__)
#define cudaLaunchKernel(...) emulator::launch_kernel(false, #__VA_ARGS__, __VA_ARGS__)
#define cudaLaunchCooperativeKernel(...) emulator::launch_kernel(true, #__VA_ARGS__, __VA_ARGS__)
#define cudaLaunchKernelExC(config, ...) emulator::launch_kernel_by_config(#__VA_ARGS__, config, __VA_ARGS__)
#define cudaLaunchKernelEx(config, ...) emulator::launch_by_config(#__VA_ARGS__, config, emulator::At::here(), __VA_ARGS__)
template <class F>
cudaError_t cudaFuncSetCacheConfig(F, cudaFuncCache) {
  return cudaSuccess;
}
template <class F>
cudaError_t cudaFuncSetSharedMemConfig(F, cudaSharedMemConfig) {
  return cudaSuccess;
}
template <class F>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, F, int threads, size_t shared, HERE) {
  return emulator::most_blocks(blocks, threads, shared, at);
}
template <class F>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, F, int threads, size_t shared, unsigned, HERE) {
  return emulator::most_blocks(blocks, threads, shared, at);
}
template <class F>
cudaError_t cudaOccupancyMaxPotentialBlockSize(int* grid, int* block, F, size_t = 0, int limit = 0, HERE) {
  return emulator::best_block(grid, block, limit, at);
}
template <class F>
cudaError_t cudaOccupancyMaxPotentialBlockSizeWithFlags(int* grid, int* block, F, size_t = 0, int limit = 0, unsigned = 0, HERE) {
  return emulator::best_block(grid, block, limit, at);
}
template <class F>
cudaError_t cudaOccupancyAvailableDynamicSMemPerBlock(size_t* bytes, F, int blocks, int threads, HERE) {
  return emulator::most_shared(bytes, blocks, threads, at);
}
template <class F, class S>
cudaError_t cudaOccupancyMaxPotentialBlockSizeVariableSMem(int* grid, int* block, F, S, int limit = 0, HERE) {
  return emulator::best_block(grid, block, limit, at);
}
#undef HERE
