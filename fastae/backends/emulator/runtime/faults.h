// The faults that end a launch: FAULT(name, number, what is reported, message). faults.py reads these rows, too.
//
// Reported beside the message are, for ACCESS, what the thread did to memory; for RACE and COPY, that and the other access
// with its line; for APART, where the other thread waits; for THREAD, nothing. In a message {words} is what
// Report::words has, and {shared} the bytes of dynamic shared memory.
FAULT(DIVERGED, 1, APART, "not every thread of the block comes to this __syncthreads()")
FAULT(DEADLOCK, 2, APART, "a warp operation waits for lanes that never come")
FAULT(OUT_OF_BOUNDS, 3, ACCESS, "out of bounds")
FAULT(UNINITIALISED, 4, ACCESS, "shared memory is read before it is written")
FAULT(RACE, 5, RACE, "a race between two threads of a block: no __syncthreads() lies between their accesses, of which one writes")
FAULT(RACE_OF_BLOCKS, 6, RACE, "a race between two blocks, which nothing orders")
FAULT(NO_MEMORY, 7, THREAD, "there is no memory for so many threads: take smaller blocks")
FAULT(FOR_EVER, 8, THREAD, "it waits for ever for what no other thread will do")
FAULT(BEYOND_ARRAY, 9, THREAD, "the index is outside of a shared or local array")
FAULT(UNWRITTEN, 10, ACCESS, "global memory is read before anything is written there")
FAULT(NOT_IN_MASK, 20, THREAD, "a lane of a warp names a mask in which it is not itself")
FAULT(BEYOND_SHARED, 21, ACCESS, "beyond the dynamic shared memory of the launch, {shared} bytes: it asks for too little, by shared_mem= or by "
      "shared (...) in the launch comment")
FAULT(NOT_COOPERATIVE, 22, THREAD, "this_grid().sync() needs a launch that is cooperative: RawModule(..., enable_cooperative_groups=True)")
FAULT(MISALIGNED, 23, ACCESS, "a misaligned address: it must be a multiple of the size of what is read or written there at once")
FAULT(ASSERTED, 24, THREAD, "an assertion does not hold: {words}")
FAULT(TOO_EARLY, 40, COPY, "it is read before the asynchronous copy into it has been waited for")
FAULT(OVERWRITTEN, 41, COPY, "it is written before the asynchronous copy into it has been waited for")
FAULT(SENT, 42, COPY, "it is written before the asynchronous copy from it has been waited for")
FAULT(TOO_FEW, 43, THREAD, "too few threads arrive at this barrier: {words} that it expects")
FAULT(TOO_MANY, 44, THREAD, "more threads arrive at this barrier than it expects")
FAULT(UNBEGUN, 45, THREAD, "the barrier is used before it was initialised: init(&bar, n) by one thread, then __syncthreads()")
FAULT(NOT_WHOLE, 60, THREAD, "an operation of a whole warp in a warp of fewer threads: a block of it has a multiple of 32")
FAULT(FRAGMENT, 61, THREAD, "the matrix of a fragment {words}")
FAULT(STACK_FULL, 80, THREAD, "the thread has used up its stack: does a function call itself without end?")
FAULT(DIVIDED_BY_ZERO, 81, THREAD, "a whole number is divided by zero")
FAULT(NOT_SHARED, 100, ACCESS, "an instruction for shared memory is given another address: __cvta_generic_to_shared(pointer) gives one")
FAULT(NOT_GLOBAL, 101, ACCESS, "an instruction for global memory is given an address of shared memory")
FAULT(MISCOUNTED, 102, THREAD, "a barrier has a number from 0 to 15, and its threads come with one count, a multiple of 32")
