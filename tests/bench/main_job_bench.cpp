// SPDX-License-Identifier: Apache-2.0
// The main job beside what bounds it and beside other tools, on one QPC in memory-backed storage.
#include <openssl/evp.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "appliance/seal/data_key.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "pkcs11/gcm.h"
#include "tests/bench/measure.h"
#include "tests/bench/process.h"
#include "tests/support/tokens.h"

namespace qpcseal::bench {

namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20;  // bytes, as the format's default
constexpr const char* kSoftHsm = "/usr/lib/softhsm/libsofthsm2.so";
const Bytes kAad(90, 0x61);  // about as long as a chunk's

// One thread's way to encrypt a chunk; null: it is not encrypted.
using Encrypt = std::function<void(const ByteStream&)>;

// The file in memory, worked through by chunks on some threads, each piece hashed while it is in the cache.
class InMemory {
 public:
  explicit InMemory(const std::string& path) : data_(read_file(path, std::size_t{1} << 40)) {}
  [[nodiscard]] double size() const { return static_cast<double>(data_.size()); }

  void run(unsigned threads, const std::function<Encrypt()>& make, bool hash) const {
    const std::uint64_t count = (data_.size() + kChunk - 1) / kChunk;
    const auto make_work = [&]() -> Work {
      return [this, hash, encrypt = make()](std::uint64_t i) {
        const ByteView plain =
            ByteView(data_).subspan(i * kChunk, std::min(kChunk, data_.size() - i * kChunk));
        Sha256 digest;
        if (!encrypt) {
          digest.update(plain);
        } else {
          ByteStream stream = memory_stream(plain, {});
          stream.write = [&](ByteView stored) {
            if (hash) digest.update(stored);
          };
          encrypt(stream);
        }
        static_cast<void>(digest.finish());
      };
    };
    run_parallel(threads, count, make_work, {});
  }

 private:
  Bytes data_;
};

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
  std::function<Encrypt()> encrypters(bool multipart) {
    return [this, multipart]() -> Encrypt {
      auto session =
          std::make_shared<pkcs11::Session>(token_->module(), token_->info(), pkcs11::Access::ReadOnly);
      auto encryptor = std::make_shared<pkcs11::GcmEncryptor>(
          *session, pkcs11::GcmAbility{multipart, pkcs11::IvRule::Caller}, key_, random_);
      return [session, encryptor](const ByteStream& stream) { encryptor->encrypt_stream(kAad, stream); };
    };
  }

 private:
  std::unique_ptr<testing::TestToken> token_;
  pkcs11::Object key_;
  SystemRandom random_;
};

std::function<Encrypt()> host_encrypters() {
  return []() -> Encrypt {
    static SystemRandom random;
    auto key = std::make_shared<SecretBuffer>(seal::make_data_key(random));
    std::shared_ptr<seal::GcmWorker> worker = seal::open_data_key(*key, random);
    return [key, worker](const ByteStream& stream) { worker->encrypt_stream(kAad, stream); };
  };
}

// An appliance, a card and a model, made by the programs themselves.
class Site {
 public:
  Site(const Workspace& work, std::size_t size) : work_(work) {
    setenv("QPCSEAL_HOME", work.file("home").c_str(), 1);  // NOLINT(concurrency-mt-unsafe): no threads yet
    // network.elf has a quarter of the size of constants.bin.
    device({"sample", "--out", model(), "--size", std::to_string(size / 5 * 4)});
    device({"provision", "--dir", work.file("cards"), "--cards", "1", "--roots-out", work.file("root.pem")});
    write_policy(work);
    make_folder(work.file("trust"), 0700);
    std::filesystem::copy_file(work.file("root.pem"), work.file("trust/root.pem"));
    qpcseal({"init", "--embedded", "--insecure-demo", "--appliance-id", "bench", "--policy",
             work.file("policy.toml"), "--trust", work.file("trust")});
    qpcseal({"mek", "generate", "bench"});
    bind(work);
  }
  [[nodiscard]] std::string model() const { return work_.file("model.qpc"); }
  [[nodiscard]] Command encrypt(const std::string& mode, const std::string& model) const {
    return {QPCSEAL, "encrypt-model", "--qpc", model,          "--mek",
            "bench", "--mode",        mode,    "--output-dir", work_.file("out")};
  }
  [[nodiscard]] Command load(bool out) const {
    Command command{QPCSEAL_DEVICE,
                    "load",
                    "--dir",
                    work_.file("cards"),
                    "--device",
                    "0",
                    work_.file("bound/programqpc.bin")};
    if (out) command.insert(command.end(), {"--out", work_.file("out")});
    return command;
  }

 private:
  static void qpcseal(Command arguments) {
    arguments.insert(arguments.begin(), QPCSEAL);
    run_process(arguments);
  }
  static void device(Command arguments) {
    arguments.insert(arguments.begin(), QPCSEAL_DEVICE);
    run_process(arguments);
  }
  // The one for trials, with the second mode allowed too.
  static void write_policy(const Workspace& work) {
    const std::string path = work.file("policy.toml");
    run_process({QPCSEAL_DEVICE, "describe", "--dir", work.file("cards"), "--device", "0", "--policy"}, path);
    const std::string modes = "modes = [\"token\"]";
    std::string text(text_view(read_file(path, std::size_t{1} << 20)));
    text.replace(text.find(modes), modes.size(), "modes = [\"token\", \"envelope\"]");
    write_file(path, view(text), Existing::Replace, 0600);
  }
  void bind(const Workspace& work) const {
    qpcseal({"attest", "request", "--mek", "bench", "-o", work.file("request")});
    device({"attest", "--dir", work.file("cards"), "-i", work.file("request"), "-o", work.file("report")});
    qpcseal({"encrypt-model", "--qpc", model(), "--mek", "bench", "--output-dir", work.file("bound"),
             "--pub-keys", work.file("report")});
  }
  const Workspace& work_;
};

// What others do with the same file.
class Others {
 public:
  Others(const Workspace& work, std::string model) : work_(work), model_(std::move(model)) {}

  void add(std::vector<Case>& cases, double size) const {
    const auto after = [this] { work_.remove("out"); };
    const auto add_one = [&](const std::string& name, Command command) {
      if (!is_installed(command[0])) return;
      cases.push_back({name, size, [command] { run_process(command); }, after});
    };
    if (is_installed("age")) add_one("age", age());
    add_one("openssl enc aes-128-ctr", {"openssl", "enc", "-aes-128-ctr", "-K", std::string(32, '1'), "-iv",
                                        std::string(32, '2'), "-in", model_, "-out", work_.file("out")});
    if (is_installed("pkcs11-tool")) add_one("pkcs11-tool --encrypt (CBC)", pkcs11_tool());
    add_one("cp", {"cp", model_, work_.file("out")});
  }

 private:
  [[nodiscard]] Command age() const {
    run_process({"age-keygen", "-o", work_.file("age.key")});
    run_process({"age-keygen", "-y", work_.file("age.key")}, work_.file("age.pub"));
    std::string recipient;
    std::ifstream(work_.file("age.pub")) >> recipient;
    return {"age", "-r", recipient, "-o", work_.file("out"), model_};
  }
  // A token of the same kind as the appliance's. pkcs11-tool of OpenSC 0.23 knows no AES-GCM.
  [[nodiscard]] Command pkcs11_tool() const {
    const std::string configuration = work_.file("softhsm2.conf");
    make_folder(work_.file("tool"), 0700);
    std::ofstream(configuration) << "directories.tokendir = " << work_.file("tool") << "\n";
    const auto tool = [&](const Command& more) {
      Command all{
          "env",  "SOFTHSM2_CONF=" + configuration, "pkcs11-tool", "--module", kSoftHsm, "--token-label",
          "bench"};
      all.insert(all.end(), more.begin(), more.end());
      return all;
    };
    run_process({"env", "SOFTHSM2_CONF=" + configuration, "pkcs11-tool", "--module", kSoftHsm, "--init-token",
                 "--label", "bench", "--so-pin", "12345678"});
    run_process(
        tool({"--init-pin", "--login", "--login-type", "so", "--so-pin", "12345678", "--pin", "1234"}));
    run_process(tool({"--login", "--pin", "1234", "--keygen", "--key-type", "AES:16", "--id", "01"}));
    return tool({"--login", "--pin", "1234", "--encrypt", "--mechanism", "AES-CBC-PAD", "--id", "01", "--iv",
                 std::string(32, '3'), "--input-file", model_, "--output-file", work_.file("out")});
  }
  const Workspace& work_;
  std::string model_;
};

void read_through(const Fd& file, unsigned threads) {
  const std::uint64_t size = file_size(file);
  run_parallel(threads, (size + kChunk - 1) / kChunk,
               [&]() -> Work {
                 auto buffer = std::make_shared<Bytes>(kChunk);
                 return [&, buffer](std::uint64_t i) {
                   read_exact(file,
                              MutableBytes(*buffer).first(std::min<std::uint64_t>(kChunk, size - i * kChunk)),
                              i * kChunk);
                 };
               },
               {});
}

void write_through(const std::string& path, std::uint64_t size, unsigned threads) {
  AtomicFile file(path, Existing::Refuse);
  run_parallel(threads, size / kChunk,
               [&]() -> Work {
                 auto buffer = std::make_shared<Bytes>(kChunk, 0x62);
                 return [&, buffer](std::uint64_t i) { write_exact(file.fd(), *buffer, i * kChunk); };
               },
               {});
  file.commit();
}

void add_raw(std::vector<Case>& cases, const InMemory& model, Token& token) {
  const unsigned all = default_threads();
  const auto add = [&](const std::string& name, const std::function<Encrypt()>& make, bool hash) {
    for (const unsigned threads : {1U, all}) {
      if (threads == 1 && all == 1) continue;
      cases.push_back({name + ", " + std::to_string(threads) + (threads == 1 ? " thread" : " threads"),
                       model.size(), [&model, threads, make, hash] { model.run(threads, make, hash); }});
    }
  };
  add("token GCM one-shot", token.encrypters(false), false);
  add("token GCM 64 KiB pieces", token.encrypters(true), false);
  add("host GCM", host_encrypters(), false);
  add("SHA-256", [] { return Encrypt(); }, true);
  cases.push_back(
      {"bound, token", model.size(), [&model, make = token.encrypters(true)] { model.run(0, make, true); }});
  cases.push_back(
      {"bound, envelope", model.size(), [&model, make = host_encrypters()] { model.run(0, make, true); }});
}

void print_results(const std::vector<Row>& rows) {
  print_table(rows, {"GB", 1e9});
  const auto has = [&](const std::string& name) {
    return std::any_of(rows.begin(), rows.end(), [&](const Row& row) { return row.name == name; });
  };
  std::printf("\nRatios of rates, median (worst .. best round):\n");
  print_ratio(rows, "encrypt-model, token", "bound, token", 0.85);
  print_ratio(rows, "encrypt-model, envelope", "bound, envelope", 0.85);
  if (has("age")) print_ratio(rows, "encrypt-model, token", "age", 1.5);
  if (has("pkcs11-tool --encrypt (CBC)"))
    print_ratio(rows, "encrypt-model, token", "pkcs11-tool --encrypt (CBC)", 8);
  print_ratio(rows, "encrypt-model, token", "openssl enc aes-128-ctr");
  print_ratio(rows, "encrypt-model, token", "cp");
  print_ratio(rows, "load", "bound, token");
}

void run(unsigned rounds, std::size_t size) {
  const Workspace work;
  const Site site(work, size);
  const InMemory model(site.model());
  const Fd file = open_to_read(site.model());
  Token token;
  print_machine();
  std::printf("A QPC of %.0f bytes; %u rounds after one that does not count\n\n", model.size(), rounds);

  std::vector<Case> cases;
  add_raw(cases, model, token);
  const auto after = [&] { work.remove("out"); };
  cases.push_back({"read, all threads", model.size(), [&] { read_through(file, 0); }});
  cases.push_back({"write, all threads", model.size(),
                   [&] { write_through(work.file("out"), file_size(file), 0); }, after});
  for (const std::string mode : {"token", "envelope"})
    cases.push_back({"encrypt-model, " + mode, model.size(),
                     [&, mode] { run_process(site.encrypt(mode, site.model())); }, after});
  cases.push_back({"load", model.size(), [&] { run_process(site.load(false)); }});
  cases.push_back({"load --out", model.size(), [&] { run_process(site.load(true)); }, after});
  const Others others(work, site.model());
  others.add(cases, model.size());
  print_results(measure(cases, rounds));
  for (const std::string mode : {"token", "envelope"}) {
    std::printf("peak resident memory of encrypt-model, %s: %.1f MiB\n", mode.c_str(),
                peak_memory(site.encrypt(mode, site.model())));
    work.remove("out");
  }
}

}  // namespace

}  // namespace qpcseal::bench

int main(int argc, char** argv) {
  std::size_t mebibytes = 1024;
  const auto options = qpcseal::bench::parse_options(
      argc, argv, "Sealing and loading beside their bounds and other tools", [&](CLI::App& app) {
        app.add_option("--size", mebibytes, "MiB of the model")
            ->check(CLI::Range(std::size_t{16}, std::size_t{1} << 16))
            ->capture_default_str();
      });
  return qpcseal::bench::guarded([&] { qpcseal::bench::run(options.rounds, mebibytes << 20); });
}
