// SPDX-License-Identifier: Apache-2.0
#include "confine/messages.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <mutex>
#include <set>

#include "base/retry.h"
#include "confine/memory_file.h"

namespace qpcseal::confine {

namespace {

constexpr std::size_t kMaxFiles = 253;  // SCM_MAX_FD

struct alignas(cmsghdr) ControlSpace {
  std::array<std::uint8_t, CMSG_SPACE(kMaxFiles * sizeof(int))> bytes{};
};

void put(Bytes& out, std::uint64_t value) { append_be(out, value, 8); }
void put(Bytes& out, std::string_view text) {
  put(out, text.size());
  append(out, text);
}

std::string take_text(ByteReader& from) { return std::string(text_view(from.take(from.be(8)))); }

Bytes bytes_of(const Fd& file) {
  Bytes out(file_size(file));
  read_exact(file, out, 0);
  return out;
}

void put(Bytes& out, const Limits& limits) {
  for (const std::uint64_t value :
       {static_cast<std::uint64_t>(limits.wall.count()), limits.cpu, limits.memory, limits.file_size,
        limits.without_name, limits.open_files, limits.processes, static_cast<std::uint64_t>(limits.output)})
    put(out, value);
}

Limits take_limits(ByteReader& from) {
  Limits out;
  out.wall = std::chrono::seconds(from.be(8));
  for (std::uint64_t* value :
       {&out.cpu, &out.memory, &out.file_size, &out.without_name, &out.open_files, &out.processes})
    *value = from.be(8);
  out.output = from.be(8);
  return out;
}

// An Error refers to its code only.
std::string_view kept_code(std::string code) {
  static std::mutex mutex;
  static std::set<std::string, std::less<>> codes;
  const std::lock_guard lock(mutex);
  return *codes.insert(std::move(code)).first;
}

Fd next_of(std::vector<Fd>& files, std::size_t& at) {
  if (at >= files.size()) throw Error(ErrorKind::Malformed, "a job without one of its files");
  return std::move(files[at++]);
}

}  // namespace

SocketPair::SocketPair() {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) throw_errno("socketpair");
  first = Fd(ends[0]);
  second = Fd(ends[1]);
}

void send_message(const Fd& socket, Word word, const std::vector<int>& files) {
  if (files.size() > kMaxFiles) throw Error(ErrorKind::Internal, "too many files for one sandbox");
  char letter = static_cast<char>(word);
  iovec part{&letter, 1};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  ControlSpace space;
  if (!files.empty()) {
    header.msg_control = space.bytes.data();
    header.msg_controllen = CMSG_SPACE(files.size() * sizeof(int));
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(files.size() * sizeof(int));
    std::memcpy(CMSG_DATA(rights), files.data(), files.size() * sizeof(int));
  }
  if (retry_interrupted([&] { return sendmsg(socket.get(), &header, MSG_NOSIGNAL); }) != 1)
    throw_errno("the launcher of sandboxes");
}

Message receive_message(const Fd& socket) {
  char letter = 0;
  iovec part{&letter, 1};
  ControlSpace space;
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = space.bytes.data();
  header.msg_controllen = space.bytes.size();
  const ssize_t got = retry_interrupted([&] { return recvmsg(socket.get(), &header, MSG_CMSG_CLOEXEC); });
  if (got < 0) throw_errno("the launcher of sandboxes");
  Message out{static_cast<Word>(letter), {}};
  for (cmsghdr* rights = CMSG_FIRSTHDR(&header); rights != nullptr; rights = CMSG_NXTHDR(&header, rights)) {
    std::vector<int> files((rights->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(files.data(), CMSG_DATA(rights), files.size() * sizeof(int));
    for (const int file : files) out.files.emplace_back(file);
  }
  if (got == 0) throw Error(ErrorKind::Io, "the launcher of sandboxes has ended");
  if ((header.msg_flags & MSG_CTRUNC) != 0) {  // some of the files found no number
    errno = EMFILE;
    throw_errno("the launcher of sandboxes");
  }
  return out;
}

Bytes encode(const Job& job) {
  Bytes out;
  put(out, job.command.size());
  for (const std::string& word : job.command) put(out, word);
  put(out, job.files.size());
  for (const GivenFile& file : job.files) {
    put(out, file.inside);
    put(out, static_cast<std::uint64_t>(file.executable));
  }
  put(out, job.folders.size());
  for (const GivenFolder& dir : job.folders) {
    put(out, dir.inside);
    put(out, static_cast<std::uint64_t>(dir.writable));
  }
  put(out, job.secret ? std::string_view(job.secret->inside) : std::string_view());
  put(out, job.limits);
  return out;
}

Job decode_job(std::vector<Fd> files) {
  std::size_t at = 0;
  const Bytes bytes = bytes_of(next_of(files, at));
  ByteReader from(bytes, "a job");
  Job out;
  out.input = bytes_of(next_of(files, at));
  for (std::uint64_t left = from.be(8); left > 0; --left) out.command.push_back(take_text(from));
  for (std::uint64_t left = from.be(8); left > 0; --left) {
    std::string inside = take_text(from);
    const bool executable = from.be(8) == 1;
    out.files.push_back({std::move(inside), std::make_shared<const Fd>(next_of(files, at)), executable});
  }
  for (std::uint64_t left = from.be(8); left > 0; --left) {
    std::string inside = take_text(from);
    const bool writable = from.be(8) == 1;
    out.folders.push_back({std::move(inside), next_of(files, at), writable});
  }
  if (std::string inside = take_text(from); !inside.empty())
    out.secret = GivenSecret{std::move(inside), nullptr};
  out.limits = take_limits(from);
  from.expect_end();
  return out;
}

Bytes encode(const Finished& finished) {
  Bytes out;
  put(out, static_cast<std::uint64_t>(finished.end));
  put(out, static_cast<std::uint64_t>(finished.code));
  put(out, finished.why);
  put(out, text_view(finished.output));
  put(out, finished.errors);
  return out;
}

Finished decode_finished(const Fd& file) {
  const Bytes bytes = bytes_of(file);
  ByteReader from(bytes, "a run's end");
  Finished out;
  out.end = static_cast<End>(from.be(8));
  out.code = static_cast<int>(from.be(8));
  out.why = take_text(from);
  out.output = copy(from.take(from.be(8)));
  out.errors = take_text(from);
  return out;
}

// A launcher's errors have no findings.
Bytes encode(const Error& error) {
  Bytes out;
  put(out, static_cast<std::uint64_t>(error.kind()));
  put(out, std::string_view(error.what()));
  put(out, error.hint());
  put(out, error.code());
  return out;
}

Error decode_error(const Fd& file) {
  const Bytes bytes = bytes_of(file);
  ByteReader from(bytes, "a launcher's error");
  const auto kind = static_cast<ErrorKind>(from.be(8));
  const std::string what = take_text(from), hint = take_text(from);
  return Error(kind, what, hint).with_code(kept_code(take_text(from)));
}

Bytes encode_texts(std::initializer_list<std::string> texts) {
  Bytes out;
  for (const std::string& text : texts) put(out, text);
  return out;
}

std::vector<std::string> decode_texts(const Fd& file, std::size_t count) {
  const Bytes bytes = bytes_of(file);
  ByteReader from(bytes, "a launcher's request");
  std::vector<std::string> out;
  while (out.size() < count) out.push_back(take_text(from));
  from.expect_end();
  return out;
}

}  // namespace qpcseal::confine
