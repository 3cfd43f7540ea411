// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/module.h"

#include <dlfcn.h>

#include "base/error.h"
#include "base/file.h"
#include "base/file_digest.h"
#include "base/ownership.h"
#include "base/text.h"

namespace qpcseal::pkcs11 {

namespace {

constexpr std::size_t kMaxModule = std::size_t{512} << 20;  // bytes
constexpr CK_ULONG kMaxSlots = 4096;

// Fixed-size fields are padded with blanks (PKCS #11 section 3). They should be UTF-8; a token's bytes that
// are none could stand in no file.
template <std::size_t N>
std::string field(const unsigned char (&padded)[N]) {
  std::string text(padded, padded + N);
  text.erase(text.find_last_not_of(std::string_view(" \0", 2)) + 1);
  return valid_utf8(text);
}

std::string version(const CK_VERSION& v) { return std::to_string(v.major) + "." + std::to_string(v.minor); }

std::filesystem::path real_path(const std::filesystem::path& path) {
  if (!path.is_absolute())
    throw Error(ErrorKind::Usage,
                "PKCS #11 module '" + path.string() + "' must be named by an absolute path");
  return std::filesystem::weakly_canonical(path);
}

void refuse_exposed(const std::filesystem::path& path) {
  Ownership owners;
  owners.check(path);
  if (!owners.good())
    throw Error(ErrorKind::Token, "others could exchange the PKCS #11 module: " + owners.faults(),
                owners.mending());
}

Sha256Digest digest_of_file(const Fd& file, const std::string& path) {
  const std::uint64_t size = file_size(file);
  if (size > kMaxModule) throw Error(ErrorKind::Token, path + " is too large for a PKCS #11 module");
  return file_digest(file, size);
}

// The descriptor stays open, for the loader knows a library by its name: another file under the same number
// would be taken for this one.
CK_FUNCTION_LIST* load(Fd file, const std::filesystem::path& path) {
  const std::string name = "/proc/self/fd/" + std::to_string(file.get());
  void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const std::string why = dlerror();  // NOLINT(concurrency-mt-unsafe): before any thread
    throw Error(ErrorKind::Token, "PKCS #11 module " + path.string() + " does not load: " + why,
                "where it looks for libraries beside itself, name its folder in LD_LIBRARY_PATH");
  }
  file.release();
  void* symbol = dlsym(library, "C_GetFunctionList");
  if (symbol == nullptr) throw Error(ErrorKind::Token, path.string() + " is no PKCS #11 module");
  const auto get = reinterpret_cast<CK_C_GetFunctionList>(symbol);
  CK_FUNCTION_LIST* calls = nullptr;
  check(get(&calls), "C_GetFunctionList", path.string());
  if (calls == nullptr || calls->version.major < 2)
    throw Error(ErrorKind::Token, path.string() + " gives no usable function list");
  return calls;
}

TokenInfo info_of(const CK_FUNCTION_LIST& calls, CK_SLOT_ID slot) {
  CK_TOKEN_INFO raw{};
  check(calls.C_GetTokenInfo(slot, &raw), "C_GetTokenInfo", "slot " + std::to_string(slot));
  TokenInfo info;
  info.slot = slot;
  info.label = field(raw.label);
  info.manufacturer = field(raw.manufacturerID);
  info.model = field(raw.model);
  info.serial = field(raw.serialNumber);
  info.firmware = version(raw.firmwareVersion);
  info.initialized = (raw.flags & CKF_TOKEN_INITIALIZED) != 0;
  info.read_only = (raw.flags & CKF_WRITE_PROTECTED) != 0;
  return info;
}

}  // namespace

Sha256Digest Module::digest_of(const std::filesystem::path& path) {
  return digest_of_file(open_to_read(real_path(path)), path.string());
}

Module::Module(const std::filesystem::path& path, const Sha256Digest& pinned, const std::string& arguments)
    : arguments_(arguments) {
  const std::filesystem::path real = real_path(path);
  refuse_exposed(real);
  Fd file = open_to_read(real);
  if (const Sha256Digest found = digest_of_file(file, path.string()); found != pinned)
    throw Error(ErrorKind::Token,
                "PKCS #11 module " + path.string() + " has SHA-256 " + to_hex(found) + ", not the pinned " +
                    to_hex(pinned),
                "after an upgrade, officers agree to the new one by 'qpcseal site change --module " +
                    path.string() + "'");
  calls_ = load(std::move(file), path);
  CK_C_INITIALIZE_ARGS init{};
  init.flags = CKF_OS_LOCKING_OK;
  // The module reads this C string; the binding has no const.
  if (!arguments_.empty()) init.pReserved = arguments_.data();
  try {
    check(calls_->C_Initialize(&init), "C_Initialize", path.string());
  } catch (const Error& error) {
    throw error.hint().empty() ? error.with_hint(hint_to_start_a_module("--accept module-network")) : error;
  }
}

Module::~Module() { calls_->C_Finalize(nullptr); }

std::vector<TokenInfo> Module::tokens() const {
  CK_ULONG count = 0;
  check(calls_->C_GetSlotList(CK_TRUE, nullptr, &count), "C_GetSlotList");
  if (count > kMaxSlots) throw Error(ErrorKind::Token, "C_GetSlotList: the module claims too many slots");
  std::vector<CK_SLOT_ID> slots(count);
  if (count > 0) check(calls_->C_GetSlotList(CK_TRUE, slots.data(), &count), "C_GetSlotList");
  if (count > slots.size()) throw Error(ErrorKind::Token, "C_GetSlotList: more slots than it said");
  slots.resize(count);
  std::vector<TokenInfo> out;
  out.reserve(slots.size());
  for (const CK_SLOT_ID slot : slots) out.push_back(info_of(*calls_, slot));
  return out;
}

}  // namespace qpcseal::pkcs11
