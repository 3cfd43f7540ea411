// SPDX-License-Identifier: Apache-2.0
// For ci/mutants alone, which copies it into a tree of its own: mutant(n) is true where mutant n is switched
// on.
//
// Which one is on, and where to note which were reached, is read once, before main: from QPCSEAL_MUTANT and
// QPCSEAL_MUTANTS_REACHED, else from the files `on` and `reached` in ../mutant beside the program's folder,
// for programs that tests start with an environment of their own.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

namespace qpcseal {

inline constexpr long kMostMutants = 8192;

struct Mutants {
  long on = 0;
  unsigned char* reached = nullptr;  // shared with all programs of one test

  Mutants() {
    char self[4096] = {};
    const ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    std::string folder(self, size > 0 ? static_cast<std::size_t>(size) : 0);
    folder = folder.substr(0, folder.rfind('/')) + "/../mutant/";
    if (const char* number = std::getenv("QPCSEAL_MUTANT"))
      on = std::atol(number);
    else if (std::ifstream file(folder + "on"); file)
      file >> on;
    const char* path = std::getenv("QPCSEAL_MUTANTS_REACHED");
    const int fd = open(path != nullptr ? path : (folder + "reached").c_str(), O_RDWR);
    if (fd < 0) return;
    if (ftruncate(fd, kMostMutants) == 0) {
      void* there = mmap(nullptr, kMostMutants, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
      if (there != MAP_FAILED) reached = static_cast<unsigned char*>(there);
    }
    close(fd);
  }
};

inline Mutants mutants;

inline bool mutant(long number) {
  if (mutants.reached != nullptr) mutants.reached[number] = 1;
  return mutants.on == number;
}

}  // namespace qpcseal
