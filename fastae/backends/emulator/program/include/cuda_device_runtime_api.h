// program/api/api.h, which comes before every program, has what CUDA has here.
#pragma once
