// device.h and program/api/api.h, which come before every program, have what CUDA has here.
#pragma once
