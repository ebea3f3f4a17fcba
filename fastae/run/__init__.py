"""``fastae run``: a whole CUDA program, compiled and run on the emulator as ``nvcc program.cu && ./a.out`` would."""
