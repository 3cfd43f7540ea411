// SPDX-License-Identifier: Apache-2.0
#include "appliance/audit/state_codec.h"

#include <concepts>
#include <tuple>

#include "base/error.h"

namespace qpcseal::audit {

namespace {

template <typename T, typename As>
concept Either = std::same_as<std::remove_const_t<T>, As>;

// One of these for each struct. A structured binding names every member, so that one which is missing here
// does not compile; add it to both lists.
auto members(Either<State> auto& state) {
  auto& [genesis, site, size, last_time, policy_digest, trust_digest, officers_digest, genesis_accepted,
         policy_serial, collateral_serial, challenges, meks, card_releases, sealed, releases, svn_floors,
         crl_numbers, drills, recovery_keys, ceremonies, quarantined, approvals_used, approvals_again, open,
         log_keys, witness_keys, witnessed] = state;
  return std::tie(genesis, site, size, last_time, policy_digest, trust_digest, officers_digest,
                  genesis_accepted, policy_serial, collateral_serial, challenges, meks, card_releases, sealed,
                  releases, svn_floors, crl_numbers, drills, recovery_keys, ceremonies, quarantined,
                  approvals_used, approvals_again, open, log_keys, witness_keys, witnessed);
}
auto members(Either<SiteFacts> auto& site) {
  auto& [module_sha256, module_arguments, accept, anchor, clock_days, programs, swap, image] = site;
  return std::tie(module_sha256, module_arguments, accept, anchor, clock_days, programs, swap, image);
}
auto members(Either<PinnedFile> auto& file) {
  auto& [path, sha256] = file;
  return std::tie(path, sha256);
}
auto members(Either<PinnedProgram> auto& pinned) {
  auto& [name, program, files] = pinned;
  return std::tie(name, program, files);
}
auto members(Either<Ceremony> auto& ceremony) {
  auto& [id, seq, outcome, acted] = ceremony;
  return std::tie(id, seq, outcome, acted);
}
auto members(Either<ReleaseRecord> auto& release) {
  auto& [seq, mek_id, ueid, nonce, pub_sha256] = release;
  return std::tie(seq, mek_id, ueid, nonce, pub_sha256);
}
auto members(Either<SvnSubject> auto& subject) {
  auto& [scheme, hwmodel, name] = subject;
  return std::tie(scheme, hwmodel, name);
}
auto members(Either<Challenge> auto& challenge) {
  auto& [nonce, mek_id, ueid, host, device, made, expires, consumed, consumed_by, intent, released_by] =
      challenge;  // the nonce is its key
  return std::tie(mek_id, ueid, host, device, made, expires, consumed, consumed_by, intent, released_by);
}
auto members(Either<MekHistory> auto& mek) {
  auto& [id, label, generation, created, encryptions, releases, state, origin, before, suspended, transferee,
         check_value, returned, exposures, exposed_since] = mek;
  return std::tie(id, label, generation, created, encryptions, releases, state, origin, before, suspended,
                  transferee, check_value, returned, exposures, exposed_since);
}
auto members(Either<OpenIntent> auto& intent) {
  auto& [seq, kind, txn, data, wrapped] = intent;
  return std::tie(seq, kind, txn, data, wrapped);
}
auto members(Either<LogKey> auto& key) {
  auto& [since, vkey] = key;
  return std::tie(since, vkey);
}
auto members(Either<Witnessed> auto& seen) {
  auto& [size, root, time] = seen;
  return std::tie(size, root, time);
}

template <typename T>
concept Struct = requires(T& value) { members(value); };

Error malformed_state(const char* what) { return {ErrorKind::Malformed, std::string("state: ") + what}; }

// Packed: for values in pages, where each byte counts. Numbers are varints (packed_pages.h), and so are
// sizes; of a text twice its size, or where it is hex of an even length, its size and 1 before the bytes it
// stands for.
template <bool kPacked>
class Encoder {
 public:
  explicit Encoder(Bytes& out) : out_(out) {}

  void put(bool value) { out_.push_back(value ? 1 : 0); }
  void put(std::uint64_t value) { number(value, 8); }
  void put(std::int64_t value) { put(static_cast<std::uint64_t>(value)); }
  void put(const std::string& value) {
    if constexpr (!kPacked) return sized(view(value));
    const bool hex = !value.empty() && encoding::is_hex(value, value.size() / 2);
    number(hex ? value.size() + 1 : 2 * value.size(), 4);
    append(out_, hex ? ByteView(from_hex(value)) : view(value));
  }
  void put(const Bytes& value) { sized(value); }
  void put(const encoding::Json& value) { put(encoding::canonical(value)); }
  template <typename T>
  void put(const std::optional<T>& value) {
    put(value.has_value());
    if (value) put(*value);
  }
  template <typename T>
  void put(const std::vector<T>& items) {
    each(items);
  }
  template <typename T>
  void put(const std::set<T>& items) {
    each(items);
  }
  template <typename K, typename V>
  void put(const std::map<K, V>& items) {
    number(items.size(), 4);
    for (const auto& [key, value] : items) {
      put(key);
      put(value);
    }
  }
  template <typename K, typename V>
  void put(const PackedMap<K, V>& items) {
    items.write(out_);
  }
  template <Struct T>
  void put(const T& value) {
    std::apply([this](const auto&... member) { (this->put(member), ...); }, members(value));
  }

 private:
  void number(std::uint64_t value, unsigned width) {
    if constexpr (kPacked) return append_varint(out_, value);
    append_be(out_, value, width);
  }
  void sized(ByteView bytes) {
    number(bytes.size(), 4);
    append(out_, bytes);
  }
  void each(const auto& items) {
    number(items.size(), 4);
    for (const auto& item : items) put(item);
  }
  Bytes& out_;
};

template <bool kPacked>
class Decoder {
 public:
  Decoder(ByteReader& reader, std::shared_ptr<const void> owner)
      : reader_(reader), owner_(std::move(owner)) {}

  void get(bool& value) {
    const std::uint64_t byte = reader_.be(1);
    if (byte > 1) throw malformed_state("neither true nor false");
    value = byte == 1;
  }
  void get(std::uint64_t& value) { value = number(8); }
  void get(std::int64_t& value) { value = static_cast<std::int64_t>(number(8)); }
  void get(std::string& value) {
    const std::uint64_t size = number(4);
    if constexpr (!kPacked) {
      value = text_view(reader_.take(size));
    } else {
      const ByteView bytes = reader_.take(size / 2);
      value = size % 2 == 0 ? std::string(text_view(bytes)) : to_hex(bytes);
    }
  }
  void get(Bytes& value) { value = copy(reader_.take(number(4))); }
  void get(encoding::Json& value) {
    std::string text;
    get(text);
    value = encoding::parse_canonical(text, "state");
  }
  template <typename T>
  void get(std::optional<T>& value) {
    bool there = false;
    get(there);
    if (there) get(value.emplace());
  }
  template <typename T>
  void get(std::vector<T>& items) {
    for (std::size_t left = count(); left > 0; --left) get(items.emplace_back());
  }
  template <typename T>
  void get(std::set<T>& items) {
    for (std::size_t left = count(); left > 0; --left) {
      T item{};
      get(item);
      if (!items.empty() && !(*items.rbegin() < item)) throw malformed_state("a set that is not in order");
      items.insert(items.end(), std::move(item));
    }
  }
  template <typename K, typename V>
  void get(std::map<K, V>& items) {
    for (std::size_t left = count(); left > 0; --left) {
      K key{};
      get(key);
      if (!items.empty() && !(items.rbegin()->first < key))
        throw malformed_state("a map that is not in order");
      get(items.emplace_hint(items.end(), std::move(key), V{})->second);
    }
  }
  template <typename K, typename V>
  void get(PackedMap<K, V>& items) {
    items = PackedMap<K, V>::read(reader_, owner_);
  }
  template <Struct T>
  void get(T& value) {
    std::apply([this](auto&... member) { (this->get(member), ...); }, members(value));
  }

 private:
  std::uint64_t number(unsigned width) {
    if constexpr (!kPacked) return reader_.be(width);
    Bytes digits;
    do {
      digits.push_back(static_cast<std::uint8_t>(reader_.be(1)));
    } while (digits.back() >= 0x80);
    ByteView bytes = digits;
    return take_varint(bytes);
  }
  // No more items than bytes that remain.
  std::size_t count() {
    const std::uint64_t count = number(4);
    if (count > reader_.remaining()) throw malformed_state("more items than bytes");
    return count;
  }
  ByteReader& reader_;
  std::shared_ptr<const void> owner_;
};

}  // namespace

template <typename V>
void pack_value(Bytes& out, const V& value) {
  Encoder<true>(out).put(value);
}

template <typename V>
void unpack_value(ByteView bytes, V& value) {
  ByteReader reader(bytes, "state");
  Decoder<true>(reader, nullptr).get(value);
  reader.expect_end();
}

template void pack_value(Bytes& out, const Challenge& value);
template void pack_value(Bytes& out, const ReleaseRecord& value);
template void pack_value(Bytes& out, const std::string& value);
template void unpack_value(ByteView bytes, Challenge& value);
template void unpack_value(ByteView bytes, ReleaseRecord& value);
template void unpack_value(ByteView bytes, std::string& value);

void encode_state(Bytes& out, const State& state) { Encoder<false>(out).put(state); }

State decode_state(ByteReader& reader, const std::shared_ptr<const void>& owner) {
  State state;
  Decoder<false>(reader, owner).get(state);
  return state;
}

}  // namespace qpcseal::audit
