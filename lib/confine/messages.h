// SPDX-License-Identifier: Apache-2.0
// What a process and its launcher say to each other: a letter and open files; for this room alone. Everything
// else is in a file of memory, so that a message is never cut.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "base/error.h"
#include "confine/job.h"
#include "confine/sandbox.h"

namespace qpcseal::confine {

enum class Word : char {
  Run = 'r',     // reply socket, encode(job), standard input, Job::files, Job::folders
  Load = 'l',    // reply socket, encode(pin)
  Secret = 's',  // the pipe that takes the secret
  Watch = 'w',   // asks Job::watch
  Answer = 'a',  // to Secret: nothing; to Watch: its text
  Done = 'd',    // encode(finished), or the file that was loaded
  Fault = 'f',   // encode(error)
};

struct Message {
  Word word = Word::Fault;
  std::vector<Fd> files;
};

// Datagrams that keep their borders (SOCK_SEQPACKET). Error{Io}.
struct SocketPair {
  Fd first, second;
  SocketPair();
};
// Error{Io}; Error{Internal} for more files than a message can have (253).
void send_message(const Fd& socket, Word word, const std::vector<int>& files = {});
// Error{Io} where the other end is closed, or this process may not open so many files.
Message receive_message(const Fd& socket);

// All of a job but what goes as a descriptor. `decode` takes the files of a message Run, behind the reply
// socket. Error{Malformed}.
Bytes encode(const Job& job);
Job decode_job(std::vector<Fd> files);
Bytes encode(const Finished& finished);
Finished decode_finished(const Fd& file);
Bytes encode(const Error& error);
Error decode_error(const Fd& file);
Bytes encode_texts(std::initializer_list<std::string> texts);
std::vector<std::string> decode_texts(const Fd& file, std::size_t count);

}  // namespace qpcseal::confine
