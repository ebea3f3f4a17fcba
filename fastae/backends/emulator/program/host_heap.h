// The host's heap, where accesses are checked: each piece ends before a page that raises a signal when it is touched, as far
// as there is space for so many, and so does the piece itself after it was freed. A copy's bounds are known, too.
// (B. Perens, Electric Fence, 1987.)
#pragma once

namespace emulator {

struct Piece {
  uintptr_t base = 0;
  size_t bytes = 0;
  bool freed = false;
};

#ifdef CHECKED
extern "C" void* __libc_malloc(size_t);
extern "C" void* __libc_calloc(size_t, size_t);
extern "C" void* __libc_realloc(void*, size_t);
extern "C" void __libc_free(void*);

constexpr size_t FENCED = size_t{64} << 30;                 // bytes of addresses, each used once
constexpr size_t LEAST_FENCED = 16, MOST_PIECES = 4096;     // bytes of a piece; and how many there are at once
constexpr size_t MOST_CALLS = 200000;                       // to malloc; later ones are not checked
static uintptr_t fenced, fenced_end, fenced_next;
static size_t pieces_now, pieces_ever;
static std::mutex fence_lock;
static thread_local bool fencing;  // the emulator itself allocates

inline std::map<uintptr_t, Piece>& pieces() {
  static auto* const all = new std::map<uintptr_t, Piece>;  // for longer than the program's own variables
  return *all;
}

struct Fencing {
  const bool before = fencing;
  Fencing() { fencing = true; }
  ~Fencing() { fencing = before; }
};

inline void begin_fence() {
  const Fencing own;
  void* const at = mmap(nullptr, FENCED, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return;
  pieces();
  fenced_next = fenced_end = reinterpret_cast<uintptr_t>(at), fenced_end += FENCED;
  fenced = fenced_next;
}

inline bool is_fenced(uintptr_t at) { return at >= fenced && at < fenced_end; }

// The piece in which an address is, or that ends a little before it.
inline Piece piece_at(uintptr_t at) {
  if (!is_fenced(at)) return {};
  const Fencing own;
  const std::lock_guard<std::mutex> guard(fence_lock);
  auto next = pieces().upper_bound(at);
  if (next == pieces().begin()) return {};
  const Piece& found = std::prev(next)->second;
  return at < (found.base + found.bytes + PAGE - 1) / PAGE * PAGE + PAGE ? found : Piece();
}

inline void* fenced_piece(size_t bytes) {
  if (!fenced || fencing || on_device() || bytes < LEAST_FENCED) return nullptr;
  const Fencing own;
  const std::lock_guard<std::mutex> guard(fence_lock);
  // Compilers rely on multiples of 16 bytes, so the bytes up to the next multiple are not checked.
  const size_t room = (bytes + 15) / 16 * 16, pages = (room + PAGE - 1) / PAGE * PAGE;
  if (pieces_now >= MOST_PIECES || pieces_ever >= MOST_CALLS || pages + PAGE > fenced_end - fenced_next) return nullptr;
  const uintptr_t at = fenced_next;
  if (mprotect(reinterpret_cast<void*>(at), pages, PROT_READ | PROT_WRITE)) return nullptr;
  fenced_next += pages + PAGE, ++pieces_now, ++pieces_ever;
  const uintptr_t base = at + pages - room;
  pieces()[base] = {base, bytes, false};
  return reinterpret_cast<void*>(base);
}

inline void free_fenced(void* pointer) {
  const Fencing own;
  const std::lock_guard<std::mutex> guard(fence_lock);
  const uintptr_t base = reinterpret_cast<uintptr_t>(pointer);
  const auto found = pieces().find(base);
  if (found == pieces().end() || found->second.freed) {
    const bool before = found != pieces().end();
    complain(line_of_caller() + ": the host frees memory that " + (before ? "it has freed before" : "malloc or new did not give"));
    abort();
  }
  found->second.freed = true, --pieces_now;
  const uintptr_t first = base / PAGE * PAGE, end = (base + found->second.bytes + PAGE - 1) / PAGE * PAGE;
  madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
  mprotect(reinterpret_cast<void*>(first), end - first, PROT_NONE);
}

inline size_t bytes_of_piece(void* pointer) { return piece_at(reinterpret_cast<uintptr_t>(pointer)).bytes; }

#else
struct Fencing {
  Fencing() {}
};
inline void begin_fence() {}
inline Piece piece_at(uintptr_t) { return {}; }
#endif

// What is wrong with so many bytes of the host's, for a message; empty if nothing is, as far as it is known.
inline std::string beyond_piece(uintptr_t at, size_t reach) {
  const Piece piece = piece_at(at);
  if (!piece.bytes || (!piece.freed && at + reach <= piece.base + piece.bytes)) return "";
  const std::string given = text("the %zu bytes that malloc or new gave", piece.bytes);
  if (piece.freed) return "; it lies in " + given + ", which have been freed";
  if (at >= piece.base + piece.bytes) return text("; it lies %zu bytes behind ", size_t(at - piece.base - piece.bytes)) + given;
  return text("; only %zu are left there of ", size_t(piece.base + piece.bytes - at)) + given;
}

}  // namespace emulator

#ifdef CHECKED
extern "C" {
void* malloc(size_t bytes) {
  void* const piece = emulator::fenced_piece(bytes);
  return piece ? piece : emulator::__libc_malloc(bytes);
}
void* calloc(size_t count, size_t size) {
  size_t bytes;
  void* const piece = __builtin_mul_overflow(count, size, &bytes) ? nullptr : emulator::fenced_piece(bytes);
  return piece ? piece : emulator::__libc_calloc(count, size);
}
void free(void* pointer) {
  if (emulator::is_fenced(reinterpret_cast<uintptr_t>(pointer))) return emulator::free_fenced(pointer);
  emulator::__libc_free(pointer);
}
void* realloc(void* pointer, size_t bytes) {
  if (!pointer) return malloc(bytes);
  if (!emulator::is_fenced(reinterpret_cast<uintptr_t>(pointer))) return emulator::__libc_realloc(pointer, bytes);
  const size_t before = emulator::bytes_of_piece(pointer);
  void* const piece = bytes ? malloc(bytes) : nullptr;
  if (bytes && !piece) return nullptr;
  if (piece) memcpy(piece, pointer, std::min(before, bytes));
  emulator::free_fenced(pointer);
  return piece;
}
}
#endif
