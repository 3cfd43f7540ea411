// SPDX-License-Identifier: Apache-2.0
#include "process/file_access.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <string>

#include "base/file.h"
#include "tests/process/in_child.h"

namespace qpcseal::process {
namespace {

using std::filesystem::path;
using tests::error_of;
using tests::in_child;

class Files : public ::testing::Test {
 protected:
  void SetUp() override {
    if (landlock_version() == 0) GTEST_SKIP() << "this kernel has no Landlock";
    char name[] = "/tmp/qpcseal-test-XXXXXX";
    root_ = mkdtemp(name);
    for (const char* dir : {"read", "write", "other"}) {
      make_folder(root_ / dir);
      write_file(root_ / dir / "file", view("x"), Existing::Refuse);
    }
  }
  void TearDown() override {
    if (!root_.empty()) std::filesystem::remove_all(root_);
  }

  [[nodiscard]] int limited(const std::function<int()>& act) const {
    return in_child(
        [&] { return restrict_files({{root_ / "read"}, {root_ / "write"}, {root_}}) ? act() : 249; });
  }
  static int open_error(const path& file, int flags) {
    return error_of(open(file.c_str(), flags | O_CLOEXEC, 0600));
  }

  path root_;
};

TEST_F(Files, WhatIsListedCanBeReadAndWritten) {
  EXPECT_EQ(limited([&] { return open_error(root_ / "read" / "file", O_RDONLY); }), 0);
  EXPECT_EQ(limited([&] { return open_error(root_ / "write" / "file", O_RDWR | O_TRUNC); }), 0);
  EXPECT_EQ(limited([&] { return open_error(root_ / "write" / "new", O_WRONLY | O_CREAT); }), 0);
}

TEST_F(Files, WhatIsNotListedIsRefused) {
  EXPECT_EQ(limited([&] { return open_error(root_ / "other" / "file", O_RDONLY); }), EACCES);
  EXPECT_EQ(limited([] { return open_error("/etc/shadow", O_RDONLY); }), EACCES);
  EXPECT_EQ(limited([&] { return open_error(root_ / "read" / "file", O_WRONLY); }), EACCES);
  EXPECT_EQ(limited([&] { return open_error(root_ / "read" / "new", O_WRONLY | O_CREAT); }), EACCES);
  EXPECT_EQ(limited([&] { return error_of(unlink((root_ / "read" / "file").c_str())); }), EACCES);
  EXPECT_EQ(limited([&] { return error_of(truncate((root_ / "other" / "file").c_str(), 0)); }), EACCES);
}

TEST_F(Files, NothingIsExecutedAndNoDeviceMade) {
  std::filesystem::copy_file("/bin/true", root_ / "write" / "program");
  EXPECT_EQ(limited([&] {
              const std::string name = root_ / "write" / "program";
              char* none[] = {nullptr};
              execve(name.c_str(), none, none);
              return errno;
            }),
            EACCES);
  EXPECT_EQ(limited([&] { return error_of(mkfifo((root_ / "write" / "pipe").c_str(), 0600)); }), EACCES);
}

// As files appear under their final names (base/file.h), folders too.
TEST_F(Files, FilesAreMadeRenamedAndLinkedWhereTheyMayBeWritten) {
  EXPECT_EQ(limited([&] {
              write_file(root_ / "write" / "whole", view("y"), Existing::Refuse);
              write_file(root_ / "write" / "whole", view("z"), Existing::Replace);
              make_folder(root_ / "write" / "below");
              std::filesystem::rename(root_ / "write" / "whole", root_ / "write" / "below" / "whole");
              return 0;
            }),
            0);
}

TEST_F(Files, EmptyFoldersBelowMayBeRemovedAndNothingElse) {
  make_folder(root_ / "empty");
  EXPECT_EQ(limited([&] { return error_of(rmdir((root_ / "empty").c_str())); }), 0);
  EXPECT_EQ(limited([&] { return error_of(unlink((root_ / "other" / "file").c_str())); }), EACCES);
}

TEST_F(Files, ASecondRestrictionOnlyNarrows) {
  EXPECT_EQ(limited([&] {
              return restrict_files({{root_ / "other"}, {}, {}})
                         ? open_error(root_ / "other" / "file", O_RDONLY)
                         : 249;
            }),
            EACCES);
}

int connect_to(const sockaddr_un& address, socklen_t size) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return error_of(connect(fd, reinterpret_cast<const sockaddr*>(&address), size));
}

TEST_F(Files, ProcessesOutsideGetNoSignalsAndNoMessagesByAbstractSockets) {
  constexpr int kScopes = 6;  // the version of Landlock that has them
  if (landlock_version() < kScopes) GTEST_SKIP() << "this kernel's Landlock has no scopes";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = "qpcseal-test-" + std::to_string(getpid());
  std::ranges::copy(name, address.sun_path + 1);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  EXPECT_EQ(limited([] { return error_of(kill(getppid(), 0)); }), EPERM);
  EXPECT_EQ(limited([&] { return connect_to(address, size); }), EPERM);
  EXPECT_EQ(in_child([] { return error_of(kill(getppid(), 0)); }), 0);
  EXPECT_EQ(in_child([&] { return connect_to(address, size); }), 0);
  close(listener);
}

TEST_F(Files, TheSystemsFilesHaveNoSecrets) {
  EXPECT_EQ(
      in_child([] { return restrict_files(system_files()) ? open_error("/etc/shadow", O_RDONLY) : 249; }),
      EACCES);
  EXPECT_EQ(
      in_child([] { return restrict_files(system_files()) ? open_error("/etc/passwd", O_RDONLY) : 249; }), 0);
}

}  // namespace
}  // namespace qpcseal::process
