// One parameter and its velocity, from the gradient: rate[0] is minus the learning rate, rate[1] the momentum.
#pragma once
#include "common.cuh"

__device__ inline void descend(real* parameter, real* velocity, real gradient, const real* rate) {
  if (velocity) gradient = *velocity = rate[1] * *velocity + gradient;
  *parameter += rate[0] * gradient;
}
