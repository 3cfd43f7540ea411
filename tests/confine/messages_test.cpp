// SPDX-License-Identifier: Apache-2.0
// What a process and its launcher say to each other comes as it was sent, or is refused.
#include "confine/messages.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "tests/base/expect_error.h"

namespace qpcseal::confine {
namespace {

std::string content_of(const Fd& file) {
  Bytes out(file_size(file));
  read_exact(file, out, 0);
  return std::string(text_view(out));
}

std::vector<Fd> texts_as_files(const std::vector<std::string>& texts) {
  std::vector<Fd> out;
  for (const std::string& text : texts) out.push_back(memory_file(view(text)));
  return out;
}

std::vector<int> numbers_of(const std::vector<Fd>& files) {
  std::vector<int> out;
  for (const Fd& file : files) out.push_back(file.get());
  return out;
}

TEST(Messages, BringALetterAndFilesInTheirOrder) {
  const SocketPair pair;
  const std::vector<Fd> files = texts_as_files({"one", "two"});
  send_message(pair.first, Word::Run, numbers_of(files));
  send_message(pair.first, Word::Secret);
  const Message run = receive_message(pair.second);
  EXPECT_EQ(run.word, Word::Run);
  ASSERT_EQ(run.files.size(), 2U);
  EXPECT_EQ(content_of(run.files[0]), "one");
  EXPECT_EQ(content_of(run.files[1]), "two");
  for (const Fd& file : run.files) EXPECT_NE(fcntl(file.get(), F_GETFD) & FD_CLOEXEC, 0);
  const Message secret = receive_message(pair.second);
  EXPECT_EQ(secret.word, Word::Secret) << "each message has borders";
  EXPECT_TRUE(secret.files.empty());
}

TEST(Messages, HaveSoManyFilesAndNoMore) {
  constexpr std::size_t kMost = 253;
  const SocketPair pair;
  const Fd file = memory_file(view("x"));
  send_message(pair.first, Word::Run, std::vector<int>(kMost, file.get()));
  EXPECT_EQ(receive_message(pair.second).files.size(), kMost);
  EXPECT_ERROR(Internal, "too many files for one sandbox",
               (send_message(pair.first, Word::Run, std::vector<int>(kMost + 1, file.get())), 0));
}

TEST(Messages, SayThatTheOtherEndIsClosed) {
  SocketPair pair;
  pair.first.close();
  EXPECT_ERROR(Io, "the launcher of sandboxes has ended", receive_message(pair.second));
  EXPECT_ERROR(Io, "the launcher of sandboxes: Broken pipe", (send_message(pair.second, Word::Done), 0));
}

TEST(Messages, OfAFileThatIsNoneAreNotSent) {
  const SocketPair pair;
  EXPECT_ERROR(Io, "Bad file descriptor", (send_message(pair.first, Word::Done, {-1}), 0));
}

TEST(Messages, WithMoreFilesThanMayBeOpenAreAnErrorOfTheSystem) {
  const SocketPair pair;
  const Fd file = memory_file(view("x"));
  send_message(pair.first, Word::Done, {file.get(), file.get()});
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const Fd next(dup(file.get()));
  const rlimit room_for_one{static_cast<rlim_t>(next.get()) + 2, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &room_for_one), 0);
  EXPECT_ERROR(Io, "the launcher of sandboxes: Too many open files", receive_message(pair.second));
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

// A job in which no two numbers are the same.
Job full_job() {
  Job out;
  out.command = {"/opt/program", "", std::string("a\0b\n", 4)};
  out.input = {0, 1, 255};
  for (const bool executable : {true, false})
    out.files.push_back({executable ? "/opt/program" : "/opt/data",
                         std::make_shared<const Fd>(memory_file(view(executable ? "program" : "data"))),
                         executable});
  out.folders.push_back({"/out", memory_file(view("out")), true});
  out.folders.push_back({"/in", memory_file(view("in")), false});
  out.secret = GivenSecret{"/run/secret", [] { return SecretBuffer(1); }};
  out.limits = {std::chrono::seconds(1), 2, std::uint64_t{3} << 40, 4, 5, 6, 7, 8};
  out.watch = [] { return std::string("watched"); };
  return out;
}

// The files of a message Run behind its reply socket; `text` in place of the job's.
std::vector<Fd> files_of(const Job& job, ByteView text) {
  std::vector<Fd> out;
  out.push_back(memory_file(text));
  out.push_back(memory_file(job.input));
  for (const GivenFile& file : job.files) out.push_back(memory_file(view(content_of(*file.bytes))));
  for (const GivenFolder& folder : job.folders) out.push_back(memory_file(view(content_of(folder.dir))));
  return out;
}

TEST(JobMessage, BringsAllButWhatAsks) {
  const Job job = full_job();
  const Job got = decode_job(files_of(job, encode(job)));
  EXPECT_EQ(got.command, job.command);
  EXPECT_EQ(got.input, job.input);
  ASSERT_EQ(got.files.size(), 2U);
  ASSERT_EQ(got.folders.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(got.files[i].inside, job.files[i].inside);
    EXPECT_EQ(got.files[i].executable, job.files[i].executable);
    EXPECT_EQ(content_of(*got.files[i].bytes), content_of(*job.files[i].bytes));
    EXPECT_EQ(got.folders[i].inside, job.folders[i].inside);
    EXPECT_EQ(got.folders[i].writable, job.folders[i].writable);
    EXPECT_EQ(content_of(got.folders[i].dir), content_of(job.folders[i].dir));
  }
  ASSERT_TRUE(got.secret);
  EXPECT_EQ(got.secret->inside, "/run/secret");
  EXPECT_FALSE(got.secret->fetch);
  EXPECT_FALSE(got.watch);
  EXPECT_EQ(got.limits.wall, job.limits.wall);
  EXPECT_EQ(got.limits.cpu, job.limits.cpu);
  EXPECT_EQ(got.limits.memory, job.limits.memory);
  EXPECT_EQ(got.limits.file_size, job.limits.file_size);
  EXPECT_EQ(got.limits.without_name, job.limits.without_name);
  EXPECT_EQ(got.limits.open_files, job.limits.open_files);
  EXPECT_EQ(got.limits.processes, job.limits.processes);
  EXPECT_EQ(got.limits.output, job.limits.output);
}

TEST(JobMessage, OfNothingIsAJobOfNothing) {
  const Job got = decode_job(files_of(Job{}, encode(Job{})));
  EXPECT_TRUE(got.command.empty() && got.files.empty() && got.folders.empty() && got.input.empty());
  EXPECT_FALSE(got.secret);
  EXPECT_EQ(got.limits.processes, Limits{}.processes);
}

TEST(JobMessage, IsRefusedWhereItIsNotWholeOrLonger) {
  const Job job = full_job();
  Bytes text = encode(job);
  for (std::size_t size = 0; size < text.size(); ++size)
    EXPECT_ERROR(Malformed, "a job: truncated", decode_job(files_of(job, ByteView(text).first(size))))
        << size;
  text.push_back(0);
  EXPECT_ERROR(Malformed, "a job: ", decode_job(files_of(job, text)));
}

TEST(JobMessage, IsRefusedWithoutOneOfItsFiles) {
  const Job job = full_job();
  const std::size_t all = files_of(job, encode(job)).size();
  for (std::size_t count = 0; count < all; ++count) {
    std::vector<Fd> files = files_of(job, encode(job));
    files.resize(count);
    EXPECT_ERROR(Malformed, "a job without one of its files", decode_job(std::move(files))) << count;
  }
}

// Counts and sizes that no memory could hold.
TEST(JobMessage, BelievesNoNumber) {
  const Job job = full_job();
  const Bytes good = encode(job);
  constexpr std::size_t kWords = 0, kFirstWord = 8;  // where these numbers stand
  for (const std::size_t at : {kWords, kFirstWord}) {
    Bytes bad = good;
    bad[at] = 0xff;
    EXPECT_ERROR(Malformed, "a job: truncated", decode_job(files_of(job, bad))) << at;
  }
}

TEST(EndMessage, BringsHowARunEnded) {
  for (const End end : {End::Exited, End::Killed, End::TimedOut, End::Output, End::Processes, End::Stopped}) {
    Finished finished;
    finished.end = end;
    finished.code = 255;
    finished.why = "why";
    finished.output = {0, 255};
    finished.errors = std::string("\0e", 2);
    const Finished got = decode_finished(memory_file(encode(finished)));
    EXPECT_EQ(got.end, end);
    EXPECT_EQ(got.code, 255);
    EXPECT_EQ(got.why, "why");
    EXPECT_EQ(got.output, finished.output);
    EXPECT_EQ(got.errors, finished.errors);
  }
  const Bytes text = encode(Finished{});
  for (std::size_t size = 0; size < text.size(); ++size)
    EXPECT_ERROR(Malformed, "a run's end: truncated",
                 decode_finished(memory_file(ByteView(text).first(size))));
}

TEST(FaultMessage, BringsKindTextHintAndCode) {
  const Error got = decode_error(memory_file(encode(Error(ErrorKind::Denied, "not pinned", "pin it"))));
  EXPECT_EQ(got.kind(), ErrorKind::Denied);
  EXPECT_STREQ(got.what(), "not pinned");
  EXPECT_EQ(got.hint(), "pin it");
  EXPECT_EQ(got.code(), "denied");
  const Fd full = memory_file(encode(Error(ErrorKind::Io, "no room").with_code("disk-full")));
  EXPECT_EQ(decode_error(full).code(), "disk-full");
  const Bytes text = encode(Error(ErrorKind::Io, "w", "h"));
  for (std::size_t size = 0; size < text.size(); ++size)
    EXPECT_ERROR(Malformed, "a launcher's error: truncated",
                 (static_cast<void>(decode_error(memory_file(ByteView(text).first(size)))), 0));
}

TEST(TextsMessage, HasSoManyAndNoMore) {
  const Fd two = memory_file(encode_texts({"", "b"}));
  EXPECT_EQ(decode_texts(two, 2), (std::vector<std::string>{"", "b"}));
  EXPECT_ERROR(Malformed, "a launcher's request: truncated", decode_texts(two, 3));
  EXPECT_ERROR(Malformed, "a launcher's request: ", decode_texts(two, 1));
}

}  // namespace
}  // namespace qpcseal::confine
