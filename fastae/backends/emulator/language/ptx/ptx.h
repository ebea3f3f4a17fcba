// What the instructions of inline PTX become: fastae/backends/emulator/ptx makes calls of these functions of every asm
// statement, and the modules there have the names of the headers here. (NVIDIA, PTX ISA 8.)
#pragma once

#include "arithmetic.h"
#include "memory.h"
#include "warps.h"

#undef PTX
#undef PTX_ACCESS
#undef PTX_SEE
