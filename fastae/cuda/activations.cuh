// The activations, and a delta times their derivatives, each from the activation's output.
#pragma once
#include "common.cuh"

enum Activation { SIGMOID, TANH, RELU };  // in the order of fastae.activations.ACTIVATIONS

#ifndef ACTIVATION
#define ACTIVATION 0  // of the hidden layers; a module for each
#endif

__device__ inline real sigmoid(real t) { return real(1) / (real(1) + exp(-t)); }

template <int A>
__device__ inline real activated(real t) {
  if (A == TANH) return tanh(t);
  if (A == RELU) return t < real(0) ? real(0) : t;  // NaN stays; fmax would hide it
  return sigmoid(t);
}

// delta times the derivative where the activation's output is y
template <int A>
__device__ inline real through(real delta, real y) {
  if (A == TANH) return delta * (real(1) - y * y);
  if (A == RELU) return y > real(0) ? delta : real(0);
  return delta * (y * (real(1) - y));
}
