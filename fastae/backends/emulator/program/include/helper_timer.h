// What CUDA's samples include: a stopwatch, in milliseconds.
#pragma once
#include <chrono>

class StopWatchInterface {
 public:
  void start() { begin_ = Clock::now(), runs_ = true; }
  void stop() { total_ += since(), runs_ = false, ++times_; }
  void reset() { total_ = 0, times_ = 0, begin_ = Clock::now(); }
  float getTime() const { return total_ + (runs_ ? since() : 0); }
  float getAverageTime() const { return times_ ? total_ / times_ : 0; }

 private:
  using Clock = std::chrono::steady_clock;
  float since() const { return std::chrono::duration<float, std::milli>(Clock::now() - begin_).count(); }
  Clock::time_point begin_;
  float total_ = 0;
  int times_ = 0;
  bool runs_ = false;
};

inline bool sdkCreateTimer(StopWatchInterface** timer) { return *timer = new StopWatchInterface; }
inline bool sdkDeleteTimer(StopWatchInterface** timer) {
  delete *timer;
  *timer = nullptr;
  return true;
}
inline bool sdkStartTimer(StopWatchInterface** timer) { return (*timer)->start(), true; }
inline bool sdkStopTimer(StopWatchInterface** timer) { return (*timer)->stop(), true; }
inline bool sdkResetTimer(StopWatchInterface** timer) { return (*timer)->reset(), true; }
inline float sdkGetTimerValue(StopWatchInterface** timer) { return (*timer)->getTime(); }
inline float sdkGetAverageTimerValue(StopWatchInterface** timer) { return (*timer)->getAverageTime(); }
