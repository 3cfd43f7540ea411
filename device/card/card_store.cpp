// SPDX-License-Identifier: Apache-2.0
#include "device/card/card_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/error.h"
#include "base/random.h"
#include "device/card/card.h"
#include "device/card/keys.h"

namespace qpcseal::device {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxState = 1U << 20;
constexpr std::size_t kNonceLine = 2 * kNonceSize + 1;

fs::path boot_folder(const fs::path& dir, unsigned number) { return card_folder(dir, number) / "boot"; }

void write_boot(const fs::path& folder, attest::SessionKeyType type) {
  make_folder(folder);
  write_file(folder / "bootseed", SystemRandom().bytes(kBootseedSize), Existing::Refuse, 0600);
  write_private_key(folder / "session.pem", make_session_key(type).get());
  write_file(folder / "answered-nonces", {}, Existing::Refuse, 0600);
}

std::vector<Bytes> read_nonces(const fs::path& path) {
  const Bytes text = read_file(path, kMaxState);
  std::vector<Bytes> out;
  ByteReader reader(text, path.string());
  while (reader.remaining() > 0) {
    const ByteView line = reader.take(kNonceLine);
    if (line.back() != '\n') throw Error(ErrorKind::Malformed, path.string() + ": damaged");
    out.push_back(from_hex(text_view(line.first(2 * kNonceSize))));
  }
  return out;
}

// A number without sign or leading zero; nothing for any other name.
std::optional<unsigned> number_of(const std::string& name) {
  const bool digits = !name.empty() && name.size() <= 4 &&
                      std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || (name.size() > 1 && name.front() == '0')) return std::nullopt;
  return static_cast<unsigned>(std::stoul(name));
}

}  // namespace

fs::path card_folder(const fs::path& dir, unsigned number) { return dir / "cards" / std::to_string(number); }

std::vector<unsigned> card_numbers(const fs::path& dir) {
  std::vector<unsigned> out;
  std::error_code failure;
  for (const fs::directory_entry& entry : fs::directory_iterator(dir / "cards", failure)) {
    if (const std::optional<unsigned> number = number_of(entry.path().filename().string()))
      out.push_back(*number);
  }
  if (out.empty()) {
    throw Error(ErrorKind::Io, dir.string() + ": no cards there",
                "qpcseal-device provision --dir DIR --cards N --roots-out FILE makes some");
  }
  std::sort(out.begin(), out.end());
  return out;
}

bool card_exists(const fs::path& dir, unsigned number) {
  std::error_code failure;
  return fs::is_regular_file(card_folder(dir, number) / "config.json", failure);
}

CardLock::CardLock(const fs::path& dir, unsigned number) {
  const fs::path folder = card_folder(dir, number);
  if (!card_exists(dir, number)) {
    throw Error(ErrorKind::Io, "there is no card " + std::to_string(number) + " in " + dir.string(),
                "qpcseal-device list --dir DIR names the cards");
  }
  folder_ = Fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder_) throw_errno(folder.string());
  while (::flock(folder_.get(), LOCK_EX) != 0) {
    if (errno != EINTR) throw_errno("locking " + folder.string());
  }
}

void create_card(const fs::path& dir, unsigned number, const CardConfig& config,
                 const CardIdentity& identity) {
  const fs::path folder = card_folder(dir, number);
  if (fs::exists(folder)) {
    throw Error(ErrorKind::Io, folder.string() + ": there is a card already",
                "give another --dir, or remove that folder if the card is no longer wanted");
  }
  make_folder(dir);
  make_folder(folder.parent_path());
  make_folder(folder);
  write_private_key(folder / "device.pem", identity.key.get());
  write_file(folder / "chain.pem", view(to_pem(identity.chain)), Existing::Refuse, 0600);
  write_boot(folder / "boot", config.session_key);
  write_config(dir, number, config, Existing::Refuse);  // last: with it the card exists
}

void reset_card(const fs::path& dir, unsigned number) {
  const CardLock lock(dir, number);
  const fs::path boot = boot_folder(dir, number), next = card_folder(dir, number) / "boot.next";
  fs::remove_all(next);  // what a reset that was interrupted left behind
  write_boot(next, read_config(dir, number).session_key);
  if (::renameat2(AT_FDCWD, next.c_str(), AT_FDCWD, boot.c_str(), RENAME_EXCHANGE) != 0)
    throw_errno("replacing " + boot.string());
  fs::remove_all(next);
  sync_folder(card_folder(dir, number));
}

CardIdentity read_identity(const fs::path& dir, unsigned number) {
  const fs::path folder = card_folder(dir, number);
  CardIdentity out;
  out.key = read_private_key(folder / "device.pem");
  const fs::path chain = folder / "chain.pem";
  out.chain = with_context(chain.string(), [&] { return parse_pem_chain(read_file(chain, kMaxState)); });
  if (out.chain.size() < 2)
    throw Error(ErrorKind::Malformed, chain.string() + ": fewer than two certificates");
  return out;
}

BootState read_boot(const fs::path& dir, unsigned number) {
  const fs::path boot = boot_folder(dir, number);
  BootState out;
  out.bootseed = read_file(boot / "bootseed", kBootseedSize);
  if (out.bootseed.size() != kBootseedSize)
    throw Error(ErrorKind::Malformed, boot.string() + "/bootseed: damaged");
  out.session_key = read_private_key(boot / "session.pem");
  out.answered_nonces = read_nonces(boot / "answered-nonces");
  return out;
}

void remember_nonce(const fs::path& dir, unsigned number, ByteView nonce) {
  const fs::path path = boot_folder(dir, number) / "answered-nonces";
  std::vector<Bytes> nonces = read_nonces(path);
  const Bytes wanted = copy(nonce);
  if (std::find(nonces.begin(), nonces.end(), wanted) != nonces.end()) return;
  nonces.push_back(wanted);
  if (nonces.size() > kMaxAnswered) nonces.erase(nonces.begin());
  std::string text;
  for (const Bytes& each : nonces) text += to_hex(each) + "\n";
  write_file(path, view(text), Existing::Replace, 0600);
}

void write_seal_key(const fs::path& dir, unsigned number, ByteView pem) {
  static_cast<void>(parse_seal_key(pem));
  const CardLock lock(dir, number);
  write_file(card_folder(dir, number) / "seal-key.pem", pem, Existing::Replace, 0600);
}

KeyPtr read_seal_key(const fs::path& dir, unsigned number) {
  const fs::path path = card_folder(dir, number) / "seal-key.pem";
  if (!fs::exists(path)) return nullptr;
  return with_context(path.string(), [&] { return parse_seal_key(read_file(path, kMaxState)); });
}

Card open_card(const fs::path& dir, unsigned number) {
  const CardLock lock(dir, number);
  const CardConfig config = read_config(dir, number);
  BootState boot = read_boot(dir, number);
  Card card;
  card.number = number;
  card.ueid = config.ueid;
  card.session_public = session_public_key(boot.session_key.get());
  card.session_key = std::move(boot.session_key);
  card.answered_nonces = std::move(boot.answered_nonces);
  card.seal_key = read_seal_key(dir, number);
  card.minimum_model_version = config.minimum_model_version;
  return card;
}

}  // namespace qpcseal::device
