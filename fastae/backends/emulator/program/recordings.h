// Launches recorded for `fastae trace`: the first of a program, and one that a fault ends. Each has a file in the layout of
// runtime/trace.h, and one of names: a line for each pointer that the kernel was given, with its number, address, and
// what type it points to; and one for each allocation, with its address, bytes and line.
#pragma once

namespace emulator {

#ifdef CHECKED

static struct Recordings {
  unsigned long long most = 0;  // numbers of 4 bytes, of a launch
  unsigned launches = 0;        // how many to record
  std::string kernel, folder;   // of this kernel alone, if it has a name
  unsigned written = 0;
  const Recording* head = nullptr;  // of the last launch
  const Event* events = nullptr;
  uint64_t count = 0;
} recordings;

inline void begin_recordings() {
  const char* const given = getenv("FASTAE_TRACE");  // two numbers, a kernel's name and a folder, each in its line
  if (!given) return;
  std::istringstream lines(given);
  std::string most, launches;
  std::getline(lines, most), std::getline(lines, launches);
  std::getline(lines, recordings.kernel), std::getline(lines, recordings.folder);
  recordings.most = std::stoull(most), recordings.launches = std::stoul(launches);
  unsetenv("FASTAE_TRACE");
}

inline bool is_to_be_recorded(const Task& task) {
  if (!recordings.launches) return false;
  const std::string plain = name_in(task.kernel.c_str());  // without template arguments
  const std::string& wanted = recordings.kernel;
  return wanted.empty() || wanted == task.kernel || wanted == plain || wanted == plain.substr(plain.rfind(':') + 1);
}

inline void begin_recording(const Task& task) { emulator_record(is_to_be_recorded(task), recordings.most); }
inline void end_recording() {  // while the device's memory can be read
  if (recorded) recordings.count = emulator_recording(&recordings.head, &recordings.events);
}

// Whether both files could be written.
inline bool write_recording(const Task& task, const std::string& path) {
  FILE* const file = fopen(path.c_str(), "wb");
  if (!file) return false;
  bool fine = fwrite(recordings.head, sizeof(Recording), 1, file) == 1;
  fine = fine && fwrite(recordings.events, sizeof(Event), recordings.count, file) == recordings.count;
  fine = !fclose(file) && fine;
  FILE* const names = fopen((path + ".names").c_str(), "w");
  if (!names) return false;
  for (const Argument& a : task.pointers)
    fprintf(names, "pointer %d %llu %c %u %u\n", a.number, (unsigned long long)a.value, a.type.kind ? a.type.kind : '?',
            unsigned(a.type.element), a.type.size);
  for (const auto& [base, a] : live)
    fprintf(names, "memory %llu %zu %s\n", (unsigned long long)base, a.bytes, place_of(a.at).c_str());
  return !fclose(names) && fine;
}

// Tell Python of a launch that has ended, and of the number of its recording, if there is one.
inline void report_recording(const Task& task, bool fault, bool endless = false) {
  if (!recordings.launches) return;
  std::string number;
  if (recorded && (fault || recordings.written < recordings.launches)) {
    number = std::to_string(recordings.written++);
    if (!write_recording(task, recordings.folder + "/" + number)) number = "lost";
  }
  send_message("t" + task.kernel + "\x1f" + place_of(task.at) + "\x1f" + number + (endless ? "\x1f" "endless" : ""));
}
#else
inline void begin_recordings() {}
inline void begin_recording(const Task&) {}
inline void end_recording() {}
inline void report_recording(const Task&, bool, bool = false) {}
#endif

}  // namespace emulator
