// language/device.h, which comes before every kernel, has the contents.
#pragma once
