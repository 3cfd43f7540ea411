// SPDX-License-Identifier: Apache-2.0
// Sealing and loading beside their bound and beside other tools, on one QPC in memory-backed storage.
//
// The first touch of memory in a virtual machine can cost more than all cryptography: before each case that
// writes a file, one of the same size is written and removed.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "appliance/seal/data_key.h"
#include "base/bulk_file.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "base/piece_digest.h"
#include "pkcs11/gcm.h"
#include "tests/bench/bench_site.h"
#include "tests/bench/measure.h"
#include "tests/bench/other_tools.h"
#include "tests/support/tokens.h"

namespace qpcseal::bench {

namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20;  // bytes, as the format's default
const Bytes kAad(90, 0x61);                           // about as long as a chunk's

// One thread's way to encrypt a chunk; null: it is not encrypted.
using Encrypt = std::function<void(ByteView plain, MutableBytes stored)>;
using MakeEncrypt = std::function<Encrypt()>;

// The bytes of a file, worked through by chunks on some threads.
class Chunks {
 public:
  explicit Chunks(const std::string& path) : file_(open_to_read(path)), size_(file_size(file_)) {}
  [[nodiscard]] double size() const { return static_cast<double>(size_); }
  [[nodiscard]] const Fd& file() const { return file_; }

  void each(unsigned threads,
            const std::function<std::function<void(std::uint64_t at, std::size_t size)>()>& make) const {
    run_parallel(threads, (size_ + kChunk - 1) / kChunk,
                 [&]() -> Work {
                   return [this, work = make()](std::uint64_t i) {
                     work(i * kChunk, std::min<std::uint64_t>(kChunk, size_ - i * kChunk));
                   };
                 },
                 {});
  }

 private:
  Fd file_;
  std::uint64_t size_;
};

// Buffers of one thread, as the sealer's: IV and tag lie before and behind the pages.
struct Buffers {
  PageBuffer plain{kChunk}, stored{kChunk + (2 * kPage)};
  PieceDigester digester;
};

// The same piece of memory again and again: neither reading nor writing.
void in_memory(const Chunks& model, unsigned threads, const MakeEncrypt& make, bool hash) {
  model.each(threads, [&]() -> std::function<void(std::uint64_t, std::size_t)> {
    return [hash, buffers = std::make_shared<Buffers>(), encrypt = make()](std::uint64_t, std::size_t size) {
      const MutableBytes plain = buffers->plain.bytes().first(size);
      if (encrypt) encrypt(plain, buffers->stored.bytes().subspan(kPage - 12, size + 28));
      if (hash)
        static_cast<void>(
            buffers->digester.digests(encrypt ? buffers->stored.bytes().subspan(kPage, size) : plain));
    };
  });
}

// The least that a sealer has to do: read, encrypt, hash, write.
void bound(const Chunks& model, const std::string& output, const MakeEncrypt& make) {
  AtomicFile file(output, Existing::Refuse);
  std::optional<BulkWriter> writer(std::in_place, file.fd());
  model.each(0, [&]() -> std::function<void(std::uint64_t, std::size_t)> {
    return [&, buffers = std::make_shared<Buffers>(), encrypt = make()](std::uint64_t at, std::size_t size) {
      const MutableBytes plain = buffers->plain.bytes().first(size);
      read_exact(model.file(), plain, at);
      encrypt(plain, buffers->stored.bytes().subspan(kPage - 12, size + 28));
      static_cast<void>(buffers->digester.digests(buffers->stored.bytes().subspan(kPage, size)));
      writer->write(buffers->stored.bytes().subspan(kPage, whole_pages(size)), at);
    };
  });
  writer.reset();
  file.commit();
}

void read_through(const Chunks& model) {
  model.each(0, [&]() -> std::function<void(std::uint64_t, std::size_t)> {
    return [&, buffer = std::make_shared<Bytes>(kChunk)](std::uint64_t at, std::size_t size) {
      read_exact(model.file(), MutableBytes(*buffer).first(size), at);
    };
  });
}

void write_through(const Chunks& model, const std::string& output) {
  AtomicFile file(output, Existing::Refuse);
  BulkWriter writer(file.fd());
  model.each(0, [&]() -> std::function<void(std::uint64_t, std::size_t)> {
    return [&, buffers = std::make_shared<Buffers>()](std::uint64_t at, std::size_t size) {
      writer.write(buffers->plain.bytes().first(whole_pages(size)), at);
    };
  });
  file.commit();
}

// AES-GCM in a token of this process's own, a session a thread.
class Token {
 public:
  Token() : token_(testing::TestToken::softhsm()) {
    pkcs11::Template key;
    key.number(CKA_CLASS, CKO_SECRET_KEY)
        .number(CKA_KEY_TYPE, CKK_AES)
        .number(CKA_VALUE_LEN, 16)
        .flag(CKA_TOKEN, false)
        .flag(CKA_SENSITIVE, true)
        .flag(CKA_EXTRACTABLE, false)
        .flag(CKA_ENCRYPT, true);
    key_ = token_->session().generate({CKM_AES_KEY_GEN, nullptr, 0}, key, "benchmark key");
  }
  MakeEncrypt encrypters(bool multipart) {
    return [this, multipart]() -> Encrypt {
      auto session =
          std::make_shared<pkcs11::Session>(token_->module(), token_->info(), pkcs11::Access::ReadOnly);
      auto encryptor = std::make_shared<pkcs11::GcmEncryptor>(
          *session, pkcs11::GcmAbility{multipart, pkcs11::IvRule::Caller}, key_, random_);
      return [session, encryptor](ByteView plain, MutableBytes stored) {
        encryptor->encrypt(kAad, plain, stored);
      };
    };
  }

 private:
  std::unique_ptr<testing::TestToken> token_;
  pkcs11::Object key_;
  SystemRandom random_;
};

MakeEncrypt host_encrypters() {
  return []() -> Encrypt {
    static SystemRandom random;
    auto key = std::make_shared<SecretBuffer>(seal::make_data_key(random));
    std::shared_ptr<seal::GcmWorker> worker = seal::open_data_key(*key, random);
    return [key, worker](ByteView plain, MutableBytes stored) { worker->encrypt(kAad, plain, stored); };
  };
}

void add_parts(std::vector<Case>& cases, const Chunks& model, Token& token) {
  const auto add = [&](const std::string& name, const MakeEncrypt& make, bool hash) {
    cases.push_back({name, model.size(), [&model, make, hash] { in_memory(model, 0, make, hash); }});
  };
  add("token GCM one-shot", token.encrypters(false), false);
  add("token GCM 64 KiB pieces", token.encrypters(true), false);
  add("host GCM", host_encrypters(), false);
  add("SHA-256 of pieces", [] { return Encrypt(); }, true);
  add("token GCM, SHA-256 of pieces", token.encrypters(true), true);
}

void print_results(const std::vector<Row>& rows) {
  print_table(rows, {"GB", 1e9});
  const auto has = [&](const std::string& name) {
    return std::any_of(rows.begin(), rows.end(), [&](const Row& row) { return row.name == name; });
  };
  std::printf("\nRatios of rates, median (worst .. best round):\n");
  print_ratio(rows, "encrypt-model, token", "bound, token", 0.9, &Cost::cpu);
  print_ratio(rows, "encrypt-model, envelope", "bound, envelope", 0.9, &Cost::cpu);
  if (has("age")) {
    print_ratio(rows, "encrypt-model, token", "age", 1.5);
    print_ratio(rows, "encrypt-model, envelope", "age", 2);
  }
  if (has("pkcs11-tool --encrypt (CBC)"))
    print_ratio(rows, "encrypt-model, token", "pkcs11-tool --encrypt (CBC)", 4);
  print_ratio(rows, "encrypt-model, token", "openssl enc aes-128-ctr");
  print_ratio(rows, "encrypt-model, token", "cp");
  print_ratio(rows, "load", "encrypt-model, token", 1);
  print_ratio(rows, "load --out", "encrypt-model, token", 1);
}

void run(unsigned rounds, std::size_t size) {
  const Workspace work;
  const BenchSite site(work, QPCSEAL, QPCSEAL_DEVICE, size);
  const Chunks model(site.model());
  Token token;
  print_machine();
  std::printf("A QPC of %.0f bytes; %u rounds after one that does not count; SHA-256 of pieces %s\n\n",
              model.size(), rounds, PieceDigester().side_by_side() ? "side by side" : "one by one");

  std::vector<Case> cases;
  add_parts(cases, model, token);
  const std::string out = work.file("out");
  const auto after = [&] { work.remove("out"); };
  const auto before = [&] {
    write_through(model, out);
    work.remove("out");
  };
  const auto add = [&](const std::string& name, const std::function<void()>& work_through) {
    cases.push_back({name, model.size(), work_through, after, before});
  };
  add("read, all threads", [&] { read_through(model); });
  add("write, all threads", [&] { write_through(model, out); });
  add("bound, token", [&, make = token.encrypters(true)] { bound(model, out, make); });
  add("bound, envelope", [&, make = host_encrypters()] { bound(model, out, make); });
  for (const std::string mode : {"token", "envelope"})
    add("encrypt-model, " + mode, [&, mode] { run_process(site.encrypt(mode, out)); });
  add("load", [&] { run_process(site.load(false)); });
  add("load --out", [&] { run_process(site.load(true)); });
  add_other_tools(cases, work, site.model(), model.size(), before, after);
  print_results(measure(cases, rounds));
  for (const std::string mode : {"token", "envelope"}) {
    std::printf("peak resident memory of encrypt-model, %s: %.1f MiB\n", mode.c_str(),
                peak_memory(site.encrypt(mode, out)));
    work.remove("out");
  }
  std::printf("peak resident memory of load: %.1f MiB\n", peak_memory(site.load(false)));
}

// OpenSSL reads its variable when it is loaded, so the program starts anew.
void restart_without_sha_instructions(char** argv) {
  setenv("OPENSSL_ia32cap", ":~0x20000000", 1);  // NOLINT(concurrency-mt-unsafe): no threads yet
  execv("/proc/self/exe", argv);
  throw_errno("execv");
}

}  // namespace

}  // namespace qpcseal::bench

int main(int argc, char** argv) {
  std::size_t mebibytes = 1024;
  bool no_sha_ni = false;
  const auto options = qpcseal::bench::parse_options(
      argc, argv, "Sealing and loading beside their bounds and other tools", [&](CLI::App& app) {
        app.add_option("--size", mebibytes, "MiB of the model")
            ->check(CLI::Range(std::size_t{16}, std::size_t{1} << 16))
            ->capture_default_str();
        app.add_flag("--no-sha-ni", no_sha_ni, "As on a processor without SHA instructions");
      });
  return qpcseal::bench::guarded([&] {
    if (no_sha_ni && getenv("OPENSSL_ia32cap") == nullptr)  // NOLINT(concurrency-mt-unsafe): no threads yet
      qpcseal::bench::restart_without_sha_instructions(argv);
    qpcseal::bench::run(options.rounds, mebibytes << 20);
  });
}
