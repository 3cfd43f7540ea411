// SPDX-License-Identifier: Apache-2.0
#include "confine/launcher.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/current_error.h"
#include "base/file_digest.h"
#include "base/retry.h"
#include "confine/messages.h"
#include "confine/pinned.h"
#include "confine/sandbox.h"

namespace qpcseal::confine {

namespace {

// The end of this process; where it is none, there is no launcher.
Fd& control() {
  static Fd end;
  return end;
}

// --- In the launcher -------------------------------------------------------------------------------------

// Whoever took over the process that asks can run in a sandbox what officers pinned, and nothing else.
void check_programs(const Job& job, const LauncherOptions& options) {
  if (!options.programs || job.command == std::vector<std::string>{kTrial}) return;
  bool named = false;
  for (const GivenFile& file : job.files) {
    named |= file.executable && !job.command.empty() && file.inside == job.command.front();
    if (file.executable &&
        std::ranges::find(*options.programs, to_hex(file_digest(*file.bytes))) == options.programs->end())
      throw Error(ErrorKind::Denied, file.inside + " is not among the programs that the site's facts pin");
  }
  if (!named) throw Error(ErrorKind::Denied, "a sandbox for a program that the site's facts do not pin");
}

Finished run_job(Job job, const Fd& reply) {
  const auto ask = [&](Word word, const std::vector<int>& files) {
    send_message(reply, word, files);
    Message answer = receive_message(reply);
    if (answer.word != Word::Answer) throw Error(ErrorKind::Malformed, "a launcher's answer");
    return answer;
  };
  job.watch = [&]() -> std::string {
    const Message answer = ask(Word::Watch, {});
    return answer.files.empty() ? "" : decode_texts(answer.files.front(), 1).front();
  };
  return run_directly(job, [&](const Fd& pipe) { static_cast<void>(ask(Word::Secret, {pipe.get()})); });
}

void work(Message request, const Fd& reply, const LauncherOptions& options) {
  std::vector<Fd> files(std::make_move_iterator(request.files.begin() + 1),
                        std::make_move_iterator(request.files.end()));
  if (request.word == Word::Load) {
    const std::vector<std::string> pin = decode_texts(files.at(0), 2);
    return send_message(reply, Word::Done, {load_directly({pin[0], pin[1]}, false).bytes->get()});
  }
  Job job = decode_job(std::move(files));
  check_programs(job, options);
  send_message(reply, Word::Done, {memory_file(encode(run_job(std::move(job), reply))).get()});
}

void answer(Message request, const LauncherOptions& options) noexcept {
  try {
    const Fd reply = std::move(request.files.at(0));
    try {
      work(std::move(request), reply, options);
    } catch (...) {
      send_message(reply, Word::Fault, {memory_file(encode(current_error())).get()});
    }
  } catch (...) {
    return;  // whoever asked is gone
  }
}

// A session of its own: what is typed does not end a run whose end must be logged.
void become_launcher(Fd& socket) {
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  setsid();
  static_cast<void>(signal(SIGCHLD, SIG_IGN));  // NOLINT(bugprone-signal-handler): the kernel reaps
  const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  for (int fd = 0; fd < 3; ++fd)
    if (dup2(null.get(), fd) < 0) throw_errno("/dev/null");
  constexpr int kSocket = 3;
  if (socket.get() != kSocket) {
    if (dup3(socket.get(), kSocket, O_CLOEXEC) < 0) throw_errno("dup3");
    socket.release();
    socket = Fd(kSocket);
  }
  if (close_range(kSocket + 1, ~0U, 0) != 0) throw_errno("close_range");
}

void serve(const Fd& socket, const LauncherOptions& options) {
  for (;;) {
    Message request = receive_message(socket);
    if (fork() != 0) continue;  // a fork that fails closes the reply socket, which says so
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    static_cast<void>(signal(SIGCHLD, SIG_DFL));
    answer(std::move(request), options);
    _exit(0);
  }
}

// --- In the process that asks ----------------------------------------------------------------------------

// One request. When it ends, so has the work.
class Request {
 public:
  Request(Word word, std::vector<int> files) {
    SocketPair pair;
    files.insert(files.begin(), pair.second.get());
    send_message(control(), word, files);
    reply_ = std::move(pair.first);
  }
  ~Request() {
    shutdown(reply_.get(), SHUT_WR);
    try {
      for (;;) static_cast<void>(receive_message(reply_));
    } catch (...) {  // NOLINT(bugprone-empty-catch): the other end is closed, which is what was waited for
    }
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  [[nodiscard]] Message receive() const {
    Message out = receive_message(reply_);
    if (out.word == Word::Fault) throw decode_error(out.files.at(0));
    return out;
  }
  void answer(const std::vector<int>& files) const { send_message(reply_, Word::Answer, files); }

 private:
  Fd reply_;
};

void feed(const Fd& pipe, const GivenSecret& given) {
  const SecretBuffer secret = given.fetch();
  if (secret.size() > kMaxSecret) throw Error(ErrorKind::Internal, "a secret that does not fit into a pipe");
  const ssize_t written =
      retry_interrupted([&] { return ::write(pipe.get(), secret.bytes().data(), secret.size()); });
  if (written != static_cast<ssize_t>(secret.size())) throw_errno("the sandbox's pipe");
}

Finished run_remotely(const Job& job) {
  const Fd text = memory_file(encode(job)), input = memory_file(job.input);
  std::vector<int> files{text.get(), input.get()};
  for (const GivenFile& file : job.files) files.push_back(file.bytes->get());
  for (const GivenFolder& dir : job.folders) files.push_back(dir.dir.get());
  const Request request(Word::Run, std::move(files));
  for (;;) {
    const Message said = request.receive();
    if (said.word == Word::Done) return decode_finished(said.files.at(0));
    if (said.word == Word::Secret) {
      feed(said.files.at(0), job.secret.value());
      request.answer({});
      continue;
    }
    const std::string why = job.watch ? job.watch() : "";
    if (why.empty())
      request.answer({});
    else
      request.answer({memory_file(encode_texts({why})).get()});
  }
}

}  // namespace

void start_launcher(const LauncherOptions& options) {
  SocketPair pair;
  const pid_t child = fork();
  if (child < 0) throw_errno("fork");
  if (child > 0) {
    control() = std::move(pair.first);
    return;
  }
  try {
    become_launcher(pair.second);
    pair.first.release();  // closed already
    options.confine();
    serve(pair.second, options);
  } catch (...) {
    _exit(1);  // the process that asked is gone, or its next request says that this one is
  }
}

Finished run(const Job& job) {
  if (control()) return run_remotely(job);
  return run_directly(job, [&](const Fd& pipe) { feed(pipe, job.secret.value()); });
}

GivenFile load_pinned(const Pin& pin, bool executable) {
  if (!control()) return load_directly(pin, executable);
  const Fd text = memory_file(encode_texts({pin.path, pin.sha256}));
  const Request request(Word::Load, {text.get()});
  Message loaded = request.receive();
  return {pin.path, std::make_shared<const Fd>(std::move(loaded.files.at(0))), executable};
}

}  // namespace qpcseal::confine
