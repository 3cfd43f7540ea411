// SPDX-License-Identifier: Apache-2.0
// libshift-clock.so, for LD_PRELOAD: the program's wall clock is $SHIFT_CLOCK seconds ahead (or behind).
#include <dlfcn.h>
#include <time.h>

#include <cstdlib>

extern "C" int clock_gettime(clockid_t clock, timespec* out) noexcept {
  using Real = int (*)(clockid_t, timespec*);
  static const auto real = reinterpret_cast<Real>(::dlsym(RTLD_NEXT, "clock_gettime"));
  const int result = real(clock, out);
  const char* shift = std::getenv("SHIFT_CLOCK");
  if (result == 0 && clock == CLOCK_REALTIME && shift != nullptr) out->tv_sec += std::atol(shift);
  return result;
}
