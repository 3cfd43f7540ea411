// The one exclusive lock of an appliance, for its log and its token alike; held from before C_Initialize
// until after C_Finalize.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "base/file.h"

namespace qpcseal::audit {

class Lock {
 public:
  // Waits at most `timeout_seconds`; tells `on_wait` once who holds it. Error{Io} when the time is over.
  Lock(const std::filesystem::path& file, unsigned timeout_seconds,
       const std::function<void(const std::string& holder)>& on_wait = {});
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  ~Lock() = default;  // closing the descriptor lets go

 private:
  Fd fd_;
};

}  // namespace qpcseal::audit
