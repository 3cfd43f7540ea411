// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/other_tools.h"

#include <fstream>

#include "base/file.h"

namespace qpcseal::bench {

namespace {

constexpr const char* kSoftHsm = "/usr/lib/softhsm/libsofthsm2.so";

Command age(const Workspace& work, const std::string& model) {
  run_process({"age-keygen", "-o", work.file("age.key")});
  run_process({"age-keygen", "-y", work.file("age.key")}, work.file("age.pub"));
  std::string recipient;
  std::ifstream(work.file("age.pub")) >> recipient;
  return {"age", "-r", recipient, "-o", work.file("out"), model};
}

// A token of the same kind as the appliance's. pkcs11-tool of OpenSC 0.23 knows no AES-GCM.
Command pkcs11_tool(const Workspace& work, const std::string& model) {
  const std::string configuration = work.file("softhsm2.conf");
  make_folder(work.file("tool"), 0700);
  std::ofstream(configuration) << "directories.tokendir = " << work.file("tool") << "\n";
  const auto tool = [&](const Command& more) {
    Command all{
        "env",  "SOFTHSM2_CONF=" + configuration, "pkcs11-tool", "--module", kSoftHsm, "--token-label",
        "bench"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  run_process({"env", "SOFTHSM2_CONF=" + configuration, "pkcs11-tool", "--module", kSoftHsm, "--init-token",
               "--label", "bench", "--so-pin", "12345678"});
  run_process(tool({"--init-pin", "--login", "--login-type", "so", "--so-pin", "12345678", "--pin", "1234"}));
  run_process(tool({"--login", "--pin", "1234", "--keygen", "--key-type", "AES:16", "--id", "01"}));
  return tool({"--login", "--pin", "1234", "--encrypt", "--mechanism", "AES-CBC-PAD", "--id", "01", "--iv",
               std::string(32, '3'), "--input-file", model, "--output-file", work.file("out")});
}

}  // namespace

void add_other_tools(std::vector<Case>& cases, const Workspace& work, const std::string& model, double size,
                     const std::function<void()>& before, const std::function<void()>& after) {
  const auto add = [&](const std::string& name, Command command) {
    cases.push_back({name, size, [command = std::move(command)] { run_process(command); }, after, before});
  };
  if (is_installed("age")) add("age", age(work, model));
  add("openssl enc aes-128-ctr", {"openssl", "enc", "-aes-128-ctr", "-K", std::string(32, '1'), "-iv",
                                  std::string(32, '2'), "-in", model, "-out", work.file("out")});
  if (is_installed("pkcs11-tool")) add("pkcs11-tool --encrypt (CBC)", pkcs11_tool(work, model));
  add("cp", {"cp", model, work.file("out")});
}

}  // namespace qpcseal::bench
