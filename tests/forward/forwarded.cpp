// SPDX-License-Identifier: Apache-2.0
#include "tests/forward/forwarded.h"

#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>

#include "base/error.h"
#include "pkcs11/token_choice.h"

namespace qpcseal::testing {
namespace {

constexpr const char* kProgram = QPCSEAL_FORWARD_DIR "/forward-token";
constexpr const char* kLabel = "forwarded";

int exit_code(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : -1; }

bool answers(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = path.string();
  if (text.size() >= sizeof address.sun_path) throw Error(ErrorKind::Usage, "the socket's path is too long");
  std::memcpy(address.sun_path, text.data(), text.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return connected;
}

}  // namespace

Finished run(const std::string& command) {
  Finished finished;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "re");
  if (pipe == nullptr) throw Error(ErrorKind::Io, "cannot run " + command);
  std::array<char, 4096> buffer{};
  for (std::size_t got = 0; (got = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    finished.output.append(buffer.data(), got);
  finished.code = exit_code(::pclose(pipe));
  return finished;
}

ForwardServer::ForwardServer(const std::string& faults) {
  std::filesystem::create_directory(file("tokens"));
  std::ofstream(file("softhsm2.conf"))
      << "directories.tokendir = " << file("tokens").string() << "\nlog.level = ERROR\n";
  setenv("SOFTHSM2_CONF", file("softhsm2.conf").c_str(), 1);
  const Finished made = run(std::string("softhsm2-util --init-token --free --label ") + kLabel +
                            " --so-pin so-pin-1234 --pin " + kTestPin);
  if (made.code != 0) throw Error(ErrorKind::Token, "softhsm2-util: " + made.output);
  set_faults(faults);
  start();
}

ForwardServer::~ForwardServer() {
  if (process_ <= 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
}

void ForwardServer::start() {
  std::vector<std::string> words{kProgram,       "--socket",      file("socket"), "--module",
                                 kSoftHsmModule, "--faults",      file("faults"), "--trace",
                                 file("trace"),  "--record-keys", recorded_keys()};
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  if (::posix_spawn(&process_, kProgram, nullptr, nullptr, arguments.data(), environ) != 0)
    throw Error(ErrorKind::Io, "cannot start forward-token");
  for (int tries = 0; tries < 500; ++tries) {
    if (answers(file("socket"))) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  throw Error(ErrorKind::Io, "forward-token does not answer");
}

int ForwardServer::outcome() {
  int status = 0;
  ::waitpid(process_, &status, 0);
  process_ = -1;
  return exit_code(status);
}

int ForwardServer::stop() {
  ::kill(process_, SIGTERM);
  return outcome();
}

void ForwardServer::set_faults(const std::string& text) const { std::ofstream(file("faults")) << text; }

pkcs11::Module ForwardServer::module() const {
  return {kForwardModule, pkcs11::Module::digest_of(kForwardModule), "socket=" + file("socket").string()};
}

std::string ForwardServer::trace() const {
  std::ifstream in(file("trace"));
  return {std::istreambuf_iterator<char>(in), {}};
}

pkcs11::Module direct_module() { return {kSoftHsmModule, pkcs11::Module::digest_of(kSoftHsmModule), ""}; }

pkcs11::Template extractable_aes(std::string_view label) {
  pkcs11::Template made;
  made.number(CKA_CLASS, CKO_SECRET_KEY).number(CKA_KEY_TYPE, CKK_AES).number(CKA_VALUE_LEN, 16);
  made.text(CKA_LABEL, label).flag(CKA_TOKEN, false).flag(CKA_SENSITIVE, true).flag(CKA_EXTRACTABLE, true);
  made.flag(CKA_ENCRYPT, true);
  return made;
}

RawSession::RawSession(const pkcs11::Module& module)
    : calls_(module.calls()), slot_(pkcs11::find_token(module, {kLabel, "", {}}).slot) {
  pkcs11::check(calls_.C_OpenSession(slot_, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &handle_),
                "C_OpenSession");
  const SecretBuffer pin = test_pin();
  Bytes copy(pin.bytes().begin(), pin.bytes().end());
  const CK_RV result = calls_.C_Login(handle_, CKU_USER, copy.data(), copy.size());
  if (result != CKR_USER_ALREADY_LOGGED_IN) pkcs11::check(result, "C_Login");
}

CK_OBJECT_HANDLE RawSession::import_aes(ByteView value) {
  pkcs11::Template key;
  key.number(CKA_CLASS, CKO_SECRET_KEY).number(CKA_KEY_TYPE, CKK_AES).bytes(CKA_VALUE, value);
  key.flag(CKA_TOKEN, false).flag(CKA_SENSITIVE, false).flag(CKA_EXTRACTABLE, true);
  for (const auto use : {CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP, CKA_DERIVE}) key.flag(use, true);
  auto attributes = key.attributes();
  CK_OBJECT_HANDLE handle = 0;
  pkcs11::check(calls_.C_CreateObject(handle_, attributes.data(), attributes.size(), &handle),
                "C_CreateObject");
  return handle;
}

CK_OBJECT_HANDLE RawSession::find(const char* label) {
  pkcs11::Template wanted;
  wanted.text(CKA_LABEL, label);
  auto attributes = wanted.attributes();
  pkcs11::check(calls_.C_FindObjectsInit(handle_, attributes.data(), attributes.size()), "C_FindObjectsInit");
  std::array<CK_OBJECT_HANDLE, 2> found{};
  CK_ULONG count = 0;
  pkcs11::check(calls_.C_FindObjects(handle_, found.data(), found.size(), &count), "C_FindObjects");
  pkcs11::check(calls_.C_FindObjectsFinal(handle_), "C_FindObjectsFinal");
  if (count != 1) throw Error(ErrorKind::Token, std::to_string(count) + " objects named " + label);
  return found[0];
}

Bytes RawSession::value_of(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
  CK_ATTRIBUTE attribute{type, nullptr, 0};
  pkcs11::check(calls_.C_GetAttributeValue(handle_, object, &attribute, 1), "C_GetAttributeValue");
  Bytes value(attribute.ulValueLen);
  attribute.pValue = value.data();
  pkcs11::check(calls_.C_GetAttributeValue(handle_, object, &attribute, 1), "C_GetAttributeValue");
  return value;
}

Bytes RawSession::wrap(const CK_MECHANISM& mechanism, CK_OBJECT_HANDLE kek, CK_OBJECT_HANDLE key) {
  CK_MECHANISM copy = mechanism;
  Bytes wrapped(1024);
  CK_ULONG size = wrapped.size();
  pkcs11::check(calls_.C_WrapKey(handle_, &copy, kek, key, wrapped.data(), &size), "C_WrapKey");
  wrapped.resize(size);
  return wrapped;
}

Bytes RawSession::gcm(CK_OBJECT_HANDLE key, ByteView plain, std::size_t piece) {
  Bytes iv(12, 7), aad(90, 9), in(plain.begin(), plain.end()), out(plain.size() + 64);
  CK_GCM_PARAMS gcm{};
  gcm.pIv = iv.data();
  gcm.ulIvLen = iv.size();
  gcm.ulIvBits = iv.size() * 8;
  gcm.pAAD = aad.data();
  gcm.ulAADLen = aad.size();
  gcm.ulTagBits = 128;
  CK_MECHANISM mechanism{CKM_AES_GCM, &gcm, sizeof gcm};
  pkcs11::check(calls_.C_EncryptInit(handle_, &mechanism, key), "C_EncryptInit");
  CK_ULONG done = 0;
  CK_ULONG room = out.size();
  if (piece == 0) {
    pkcs11::check(calls_.C_Encrypt(handle_, in.data(), in.size(), out.data(), &room), "C_Encrypt");
    out.resize(room);
    return out;
  }
  for (std::size_t at = 0; at < in.size(); at += piece) {
    room = out.size() - done;
    const std::size_t size = std::min(piece, in.size() - at);
    pkcs11::check(calls_.C_EncryptUpdate(handle_, in.data() + at, size, out.data() + done, &room),
                  "C_EncryptUpdate");
    done += room;
  }
  room = out.size() - done;
  pkcs11::check(calls_.C_EncryptFinal(handle_, out.data() + done, &room), "C_EncryptFinal");
  out.resize(done + room);
  return out;
}

Bytes RawSession::sign(CK_MECHANISM mechanism, CK_OBJECT_HANDLE key, ByteView data) {
  Bytes in(data.begin(), data.end()), signature(512);
  CK_ULONG size = signature.size();
  pkcs11::check(calls_.C_SignInit(handle_, &mechanism, key), "C_SignInit");
  pkcs11::check(calls_.C_Sign(handle_, in.data(), in.size(), signature.data(), &size), "C_Sign");
  signature.resize(size);
  return signature;
}

}  // namespace qpcseal::testing
