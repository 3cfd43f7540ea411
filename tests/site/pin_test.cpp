// SPDX-License-Identifier: Apache-2.0
// PINs from a descriptor, a file and a terminal; and the two files of a change.
#include "appliance/site/pin.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

#include "appliance/site/pin_login.h"
#include "base/fd.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::site {
namespace {

namespace fs = std::filesystem;
using qpcseal::testing::read_text;
using qpcseal::testing::TempFolder;
using qpcseal::testing::write_text;

std::string text_of(const SecretBuffer& pin) { return std::string(text_view(pin.bytes())); }

// The reading end of a pipe that holds `text`.
Fd pipe_with(const std::string& text) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  const Fd writing(ends[1]);
  if (write(writing.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    throw std::runtime_error("the pipe takes too little");
  return Fd(ends[0]);
}

std::string pin_in(const std::string& text) {
  const Fd fd = pipe_with(text);
  return text_of(read_pin("tty", fd.get(), "token"));
}

TEST(PinDescriptor, GivesALineWithoutItsEnd) {
  EXPECT_EQ(pin_in("1234\n"), "1234");
  EXPECT_EQ(pin_in("1234"), "1234");
  EXPECT_EQ(pin_in(" 12 34 \n"), " 12 34 ") << "a space is part of a PIN";
  EXPECT_EQ(pin_in("1234\r\n"), "1234") << "as other systems end a line";
  EXPECT_ERROR(Token, "holds a control character", pin_in(std::string("12\0", 3) + "34\n"));
}

TEST(PinDescriptor, IsReadNoFurtherThanTheLine) {
  const Fd fd = pipe_with("1234\n5678\n");
  EXPECT_EQ(text_of(read_pin("tty", fd.get(), "token", MoreLines::Allowed)), "1234");
  EXPECT_EQ(text_of(read_new_pin(fd.get(), "token")), "5678") << "the new PIN is the next line";
}

TEST(PinDescriptor, MayHaveANewPinTwice) {
  for (const char* text : {"1234\n", "1234\n1234\n", "1234\r\n1234", "1234\n\n"}) {
    const Fd fd = pipe_with(text);
    EXPECT_EQ(text_of(read_new_pin(fd.get(), "token")), "1234") << text;
  }
  for (const char* text : {"1234\n1235\n", "1234\n123\n", "1234\n12345"}) {
    const Fd fd = pipe_with(text);
    EXPECT_ERROR(Usage, "the two PINs differ", read_new_pin(fd.get(), "token"));
  }
  const Fd three = pipe_with("1234\n1234\n1234\n");
  EXPECT_ERROR(Token, "more than one line, and a PIN is one", read_new_pin(three.get(), "token"));
}

TEST(PinDescriptor, IsRefusedWithASecondLine) {
  for (const char* text : {"1234\n5678\n", "1234\n\n5678", "1234\r\n5"})
    EXPECT_ERROR(Token, "more than one line, and a PIN is one; the token was not asked", pin_in(text));
  EXPECT_EQ(pin_in("1234\n\r\n\n"), "1234") << "empty lines are none";
}

TEST(PinDescriptor, TakesOneTo254Bytes) {
  EXPECT_EQ(pin_in("1"), "1");
  EXPECT_EQ(pin_in(std::string(254, 'a') + "\n"), std::string(254, 'a'));
  EXPECT_ERROR(Token, "a PIN has at most 254 bytes", pin_in(std::string(255, 'a') + "\n"));
  EXPECT_ERROR(Token, "the PIN is empty", pin_in("\n1234\n"));
  EXPECT_ERROR(Token, "the PIN is empty", pin_in(""));
}

TEST(PinDescriptor, IsNamedWhereItCannotBeRead) {
  int closed = -1;
  {
    const Fd fd = pipe_with("1234");
    closed = fd.get();
  }
  EXPECT_ERROR(Token, "--pin-fd " + std::to_string(closed) + ": cannot read the PIN: Bad file descriptor",
               read_pin("tty", closed, "token"));
}

class PinFile : public ::testing::Test {
 protected:
  TempFolder folder;
  fs::path file = folder / "pin";
  PinFile() { put("1234\n", 0600); }
  void put(const std::string& text, mode_t mode) const {
    write_text(file, text);
    chmod(file.c_str(), mode);
  }
  [[nodiscard]] SecretBuffer read() const { return read_pin("file:" + file.string(), std::nullopt, "token"); }
};

TEST_F(PinFile, IsReadWhereNobodyElseCan) {
  EXPECT_EQ(text_of(read()), "1234");
  put("5678\n\n", 0400);
  EXPECT_EQ(text_of(read()), "5678");
  put("5678\nmore", 0400);
  EXPECT_ERROR(Token, file.string() + ": more than one line, and a PIN is one", read());
}

TEST_F(PinFile, IsRefusedWhereOthersCanReadOrWriteIt) {
  for (const mode_t more : {0040U, 0020U, 0010U, 0004U, 0002U, 0001U}) {
    chmod(file.c_str(), 0600U | more);
    EXPECT_ERROR(Token, "PIN file " + file.string() + " must be readable by nobody else", read()) << more;
  }
}

TEST_F(PinFile, HasNothingThatAnEditorAdded) {
  for (const char* text : {"1234\r\n",
                           "\xEF\xBB\xBF"
                           "1234\n",
                           "\xEF\xBB\xBF"
                           "1234\r",
                           "1234"}) {
    put(text, 0600);
    EXPECT_EQ(text_of(read()), "1234") << text;
  }
}

TEST_F(PinFile, IsRefusedWithWhatNoPinHas) {
  put("12\t34\n", 0600);
  EXPECT_ERROR(Token, "control character", read());
  put(std::string("1\0002\0", 4), 0600);
  EXPECT_ERROR(Token, "control character", read());
  put("\xFF\xFE"
      "1",
      0600);
  EXPECT_ERROR(Token, "UTF-16", read());
  put("\r\n", 0600);
  EXPECT_ERROR(Token, "the PIN is empty", read());
}

TEST_F(PinFile, IsARegularFileThatIsThere) {
  fs::create_symlink(file, folder / "link");
  EXPECT_ERROR(Io, "link", read_pin("file:" + (folder / "link").string(), std::nullopt, "token"));
  fs::remove(file);
  EXPECT_ERROR(Io, file.string(), read());
}

TEST_F(PinFile, IsNotReadWhereADescriptorIsGiven) {
  const Fd fd = pipe_with("5678\n");
  EXPECT_EQ(text_of(read_pin("file:" + file.string(), fd.get(), "token")), "5678");
}

TEST(PinSource, IsATerminalOrAFile) {
  for (const char* source : {"", "env:PIN", "TTY", "/etc/pin", "1234"})
    EXPECT_ERROR(Usage, std::string("pin_source '") + source + "' is none of",
                 read_pin(source, std::nullopt, "t"));
}

// A terminal of this process's own, at which somebody types `lines`, each once a prompt stands there.
class Typist {
 public:
  explicit Typist(std::vector<std::string> lines) : master_(posix_openpt(O_RDWR | O_NOCTTY)) {
    setsid();
    std::signal(SIGHUP, SIG_IGN);  // what closing the terminal sends
    if (grantpt(master_.get()) != 0 || unlockpt(master_.get()) != 0) _exit(90);
    terminal_ = Fd(open(ptsname(master_.get()), O_RDWR));  // becomes the controlling one
    typing_ = std::thread([this, lines = std::move(lines)] {
      for (const std::string& line : lines) {
        while (!seen_.ends_with(": ")) take();
        if (write(master_.get(), line.data(), line.size()) < 0) _exit(91);
        take();
      }
    });
  }
  ~Typist() { typing_.join(); }
  Typist(const Typist&) = delete;
  Typist& operator=(const Typist&) = delete;

 private:
  void take() {
    char next = 0;
    if (::read(master_.get(), &next, 1) == 1) seen_ += next;
  }
  Fd master_, terminal_;
  std::string seen_;
  std::thread typing_;
};

// Each of these runs in a child, which has another terminal, or none.
void expect_in_child(const std::function<bool()>& act) {
  EXPECT_EXIT(_exit(act() ? 0 : 1), ::testing::ExitedWithCode(0), "");
}

TEST(PinTerminal, IsAskedForThePin) {
  expect_in_child([] {
    const Typist typist({"1234\n"});
    return text_of(read_pin("tty", std::nullopt, "token")) == "1234";
  });
}

TEST(PinTerminal, IsAskedTwiceForANewPin) {
  expect_in_child([] {
    const Typist typist({"1234\n", "1234\n"});
    return text_of(read_new_pin(std::nullopt, "token")) == "1234";
  });
  expect_in_child([] {
    const Typist typist({"1234\n", "1235\n"});
    return static_cast<bool>(testing::throws_error(ErrorKind::Usage, "the two PINs differ",
                                                   [] { read_new_pin(std::nullopt, "token"); }));
  });
}

TEST(PinTerminal, IsMissed) {
  expect_in_child([] {
    setsid();
    return testing::throws_error(ErrorKind::Token, "no terminal to ask for the PIN",
                                 [] { read_pin("tty", std::nullopt, "token"); }) &&
           testing::throws_error(ErrorKind::Token, "no terminal to ask for the PIN",
                                 [] { read_new_pin(std::nullopt, "token"); });
  });
}

TEST(PinFiles, AreNamedByTheSource) {
  EXPECT_EQ(pin_file_path("file:/etc/pin"), fs::path("/etc/pin"));
  EXPECT_EQ(pin_file_path("tty"), std::nullopt);
  EXPECT_EQ(pin_file_path("xfile:/etc/pin"), std::nullopt);
  EXPECT_EQ(next_pin_file("/etc/pin"), "/etc/pin.qpcseal-next");
}

class PinChange : public PinFile {
 protected:
  fs::path next = next_pin_file(file);
  PinChange() { write_text(next, "5678\n"); }
};

TEST_F(PinChange, StaysWhereNoOtherPinWasTried) {
  settle_pin_file(file, PinTaken::Given);
  EXPECT_EQ(read_text(file), "1234\n");
  EXPECT_EQ(read_text(next), "5678\n");
}

TEST_F(PinChange, IsForgottenWhereTheTokenHasTheOldPin) {
  settle_pin_file(file, PinTaken::GivenNotNext);
  EXPECT_EQ(read_text(file), "1234\n");
  EXPECT_FALSE(fs::exists(next));
  EXPECT_NO_THROW(settle_pin_file(file, PinTaken::GivenNotNext)) << "twice";
}

TEST_F(PinChange, IsFinishedWhereTheTokenHasTheNewPin) {
  settle_pin_file(file, PinTaken::Next);
  EXPECT_EQ(read_text(file), "5678\n");
  EXPECT_FALSE(fs::exists(next));
  EXPECT_ERROR(Io, file.string() + ": No such file", settle_pin_file(file, PinTaken::Next));
}

TEST_F(PinChange, NamesTheFileThatCannotBeRemoved) {
  fs::remove(next);
  EXPECT_NO_THROW(remove_next_pin_file(next));
  fs::create_directory(next);
  EXPECT_ERROR(Io, next.string(), remove_next_pin_file(next));
}

}  // namespace
}  // namespace qpcseal::site
