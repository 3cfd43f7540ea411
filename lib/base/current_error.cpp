// SPDX-License-Identifier: Apache-2.0
#include "base/current_error.h"

namespace qpcseal {

Error current_error() noexcept {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::system_error& error) {
    return io_error(error);
  } catch (const std::exception& error) {
    return {ErrorKind::Internal, std::string("internal: ") + error.what()};
  } catch (...) {
    return {ErrorKind::Internal, "internal: an exception of an unknown type"};
  }
}

}  // namespace qpcseal
