// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/pin.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/print.h"
#include "base/signals.h"
#include "base/text.h"
#include "base/text_file.h"

namespace qpcseal::site {

namespace {

constexpr std::size_t kMaxPin = 255;  // bytes

// Of the prompt at which somebody waits, where its interrupt is an Error.
volatile std::sig_atomic_t prompt_interrupted = 0;

void note_interrupt(int /*signal*/) { prompt_interrupted = 1; }

// What an editor added to the PIN in a file, and what no PIN has. A token would take it for part of the PIN,
// and count a failed try.
void clean_pin(SecretBuffer& pin, const std::string& what) {
  const auto begins = [&](std::string_view text) { return text_view(pin.bytes()).starts_with(text); };
  if (begins("\xFF\xFE") || begins("\xFE\xFF"))
    throw Error(ErrorKind::Token, what + ": UTF-16 text, so no PIN as the token takes it",
                "write the PIN as plain text (UTF-8)");
  if (begins(kByteOrderMark)) {
    std::ranges::copy(pin.bytes().subspan(kByteOrderMark.size()), pin.bytes().begin());
    pin.truncate(pin.size() - kByteOrderMark.size());
  }
  if (!pin.empty() && pin.bytes().back() == '\r') pin.truncate(pin.size() - 1);
  const auto is_control = [](std::uint8_t c) { return c < ' ' || c == 0x7F; };
  if (std::ranges::any_of(pin.bytes(), is_control))
    throw Error(ErrorKind::Token, what + ": the PIN holds a control character; the token was not asked");
}

// The next byte behind a line that begins another one. Does not wait for a writer, and leaves a terminal
// alone.
std::optional<std::uint8_t> begin_of_another(int fd) {
  struct stat status{};
  if (fstat(fd, &status) != 0 || S_ISCHR(status.st_mode)) return std::nullopt;
  std::uint8_t c = '\n';
  while (c == '\n' || c == '\r') {
    pollfd input{fd, POLLIN, 0};
    if (poll(&input, 1, 0) != 1 || read(fd, &c, 1) != 1) return std::nullopt;
  }
  return c;
}

// A second line may be the PIN that was meant: which one is, nobody can know.
void refuse_more_lines(int fd, const std::string& what) {
  if (begin_of_another(fd))
    throw Error(ErrorKind::Token, what + ": more than one line, and a PIN is one; the token was not asked",
                "give the PIN alone");
}

// Reads up to a newline or the end. The newline is not part of the PIN, nor are a byte order mark before it
// and a carriage return behind it. `begun`: its first byte, where that was read.
SecretBuffer read_line(int fd, const std::string& what, std::optional<std::uint8_t> begun = std::nullopt) {
  SecretBuffer pin(kMaxPin);
  std::size_t size = 0;
  if (begun) pin.bytes()[size++] = *begun;
  while (true) {
    if (size == kMaxPin) throw Error(ErrorKind::Token, what + ": a PIN has at most 254 bytes");
    const ssize_t got = read(fd, pin.bytes().data() + size, 1);
    if (prompt_interrupted != 0) throw Error(ErrorKind::Interrupted, "interrupted: no PIN was given");
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(ErrorKind::Token, what + ": cannot read the PIN: " + errno_text(errno));
    if (got == 0 || pin.bytes()[size] == '\n') break;
    ++size;
  }
  pin.truncate(size);
  clean_pin(pin, what);
  if (pin.empty()) throw Error(ErrorKind::Token, what + ": the PIN is empty");
  return pin;
}

// The terminal as it was, for the one prompt at a time: a signal gives it back and then does what it does.
int prompt_fd = -1;
termios prompt_before{};

void give_back(int signal) {
  tcsetattr(prompt_fd, TCSAFLUSH, &prompt_before);
  raise(signal);  // SA_RESETHAND: by default
}

class EchoOff {
 public:
  EchoOff(int fd, AtInterrupt at_interrupt) {
    if (tcgetattr(fd, &prompt_before) != 0) throw Error(ErrorKind::Token, "/dev/tty is not a terminal");
    prompt_fd = fd;
    signals_.emplace(std::initializer_list<int>{SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP}, give_back,
                     SA_RESETHAND);
    if (at_interrupt == AtInterrupt::Throw)
      interrupt_.emplace(std::initializer_list<int>{SIGINT}, note_interrupt, 0);
    termios quiet = prompt_before;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(fd, TCSAFLUSH, &quiet);
  }
  EchoOff(const EchoOff&) = delete;
  EchoOff& operator=(const EchoOff&) = delete;
  ~EchoOff() {
    tcsetattr(prompt_fd, TCSAFLUSH, &prompt_before);
    prompt_interrupted = 0;
  }

 private:
  std::optional<SignalHandlers> signals_, interrupt_;
};

SecretBuffer ask(const std::string& prompt, AtInterrupt at_interrupt = AtInterrupt::End) {
  const Fd tty(open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (!tty)
    throw Error(
        ErrorKind::Token, "no terminal to ask for the PIN",
        "give it through --pin-fd N, or name a file of yours with mode 0600 as pin_source in site.toml");
  const EchoOff quiet(tty.get(), at_interrupt);
  print_to(tty.get(), prompt);
  try {
    SecretBuffer pin = read_line(tty.get(), "/dev/tty");
    print_to(tty.get(), "\n");
    return pin;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Interrupted) print_to(tty.get(), "\n");
    throw;
  }
}

SecretBuffer from_file(const std::string& path) {
  const Fd file = open_to_read(path);
  struct stat status{};
  if (fstat(file.get(), &status) != 0) throw_errno(path);
  if (status.st_uid != geteuid())
    throw Error(ErrorKind::Token,
                "PIN file " + path + " belongs to user " + std::to_string(status.st_uid) +
                    ", not to the user of this process (" + std::to_string(geteuid()) + ")",
                "chown " + std::to_string(geteuid()) + " " + shell_word(path));
  if ((status.st_mode & 077) != 0)
    throw Error(ErrorKind::Token, "PIN file " + path + " must be readable by nobody else",
                "chmod 0600 " + shell_word(path));
  SecretBuffer pin = read_line(file.get(), path);
  refuse_more_lines(file.get(), path);
  return pin;
}

void require_same(const SecretBuffer& pin, const SecretBuffer& again) {
  if (!equal(pin.bytes(), again.bytes())) throw Error(ErrorKind::Usage, "the two PINs differ");
}

// Standard input may have a person's answers behind the PIN.
SecretBuffer from_descriptor(int fd, MoreLines more) {
  const std::string what = "--pin-fd " + std::to_string(fd);
  SecretBuffer pin = read_line(fd, what);
  if (fd != STDIN_FILENO && more == MoreLines::Refused) refuse_more_lines(fd, what);
  return pin;
}

// A new PIN may stand there twice, as a terminal asks for it.
SecretBuffer new_from_descriptor(int fd) {
  const std::string what = "--pin-fd " + std::to_string(fd);
  SecretBuffer pin = read_line(fd, what);
  if (fd == STDIN_FILENO) return pin;
  const auto begun = begin_of_another(fd);
  if (!begun) return pin;
  require_same(pin, read_line(fd, what, begun));
  refuse_more_lines(fd, what);
  return pin;
}

}  // namespace

SecretBuffer read_pin(const std::string& source, std::optional<int> fd, const std::string& token_label,
                      MoreLines more, AtInterrupt at_interrupt) {
  if (fd) return from_descriptor(*fd, more);
  if (source == kTerminal) return ask("PIN for token '" + token_label + "': ", at_interrupt);
  if (source == kPinPad) {
    print_error("qpcseal: type the PIN of token '" + printable(token_label) + "' on its own pad\n");
    return {};
  }
  if (source.starts_with(kFilePrefix)) return from_file(source.substr(kFilePrefix.size()));
  throw Error(ErrorKind::Usage, "pin_source '" + source + "' is none of \"tty\", \"pinpad\", \"file:/path\"");
}

SecretBuffer read_new_pin(std::optional<int> fd, const std::string& token_label) {
  if (fd) return new_from_descriptor(*fd);
  SecretBuffer first = ask("New PIN for token '" + token_label + "': ");
  require_same(first, ask("The same PIN again: "));
  return first;
}

}  // namespace qpcseal::site
