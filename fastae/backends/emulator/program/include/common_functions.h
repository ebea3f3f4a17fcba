// language/device.h and program/api/, which come before every program, have the contents.
#pragma once
