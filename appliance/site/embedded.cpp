// SPDX-License-Identifier: Apache-2.0
// SoftHSM with its objects under the home.
#include <fcntl.h>
#include <sys/mman.h>

#include <cstdlib>

#include "appliance/site/home.h"
#include "base/error.h"
#include "base/file.h"

namespace qpcseal::site {

// SoftHSM reads one file and names its folder in it, without a way to write '#', '=' or a line feed. Both are
// given as descriptors of this process: any path serves, a moved home takes its token along, and a copied one
// cannot reach the original's. They stay open for as long as the module is there.
void prepare_module(const Home& home, const Site& site) {
  if (!site.embedded) return;
  Fd dir(::open(home.tokens().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!dir)
    throw Error(ErrorKind::Token, "the home has no token: " + home.tokens().string() + " is not there",
                "a backup of a home has no token; move the folder 'tokens' along with it");
  const std::string text = "directories.tokendir = /proc/self/fd/" + std::to_string(dir.get()) +
                           "\nobjectstore.backend = file\nlog.level = ERROR\n";
  Fd file(memfd_create("softhsm2.conf", MFD_CLOEXEC));
  if (!file) throw_errno("softhsm2.conf");
  write_exact(file, view(text), 0);
  const std::string name = "/proc/self/fd/" + std::to_string(file.get());
  setenv("SOFTHSM2_CONF", name.c_str(), 1);  // NOLINT(concurrency-mt-unsafe): no threads yet
  dir.release();
  file.release();
}

}  // namespace qpcseal::site
