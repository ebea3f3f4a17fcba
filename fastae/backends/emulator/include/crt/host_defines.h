// device.h, which comes before every kernel, has what CUDA has here.
#pragma once
