// How kernels are launched: what <<<>>> becomes, launches by address, and the functions that api/ calls of program/.
#pragma once

namespace emulator {

extern const bool waits_somewhere;    // some kernel waits for other threads, so that threads must be fibers
extern const bool variables_unknown;  // not all variables of the device are in the section for them

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

void has_address(const void* symbol, size_t bytes);  // noted when the host asks for it

struct Argument {  // a pointer among the arguments of a launch, and the type of what it points to
  const void* value;
  int number;
  Type type;
};

// A launch, which may run later, and more than once.
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

// A kernel and its arguments, kept until the launch has run.
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

// malloc, free and new of kernels; `delete` finds out where its pointer leads.
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
