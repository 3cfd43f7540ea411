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
  auto& [module_sha256, module_arguments, accept, anchor, clock_days] = site;
  return std::tie(module_sha256, module_arguments, accept, anchor, clock_days);
}
auto members(Either<Ceremony> auto& ceremony) {
  auto& [id, seq, outcome] = ceremony;
  return std::tie(id, seq, outcome);
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
      challenge;
  return std::tie(nonce, mek_id, ueid, host, device, made, expires, consumed, consumed_by, intent,
                  released_by);
}
auto members(Either<MekHistory> auto& mek) {
  auto& [id, label, generation, created, encryptions, releases, state, origin, before, suspended, heir,
         check_value, returned] = mek;
  return std::tie(id, label, generation, created, encryptions, releases, state, origin, before, suspended,
                  heir, check_value, returned);
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

Error malformed(const char* what) { return {ErrorKind::Malformed, std::string("state: ") + what}; }

class Encoder {
 public:
  explicit Encoder(Bytes& out) : out_(out) {}

  void put(bool value) { out_.push_back(value ? 1 : 0); }
  void put(std::uint64_t value) { append_be(out_, value, 8); }
  void put(std::int64_t value) { put(static_cast<std::uint64_t>(value)); }
  void put(const std::string& value) { sized(view(value)); }
  void put(const Bytes& value) { sized(value); }
  void put(const Json& value) { put(canonical(value)); }
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
    count(items.size());
    for (const auto& [key, value] : items) {
      put(key);
      put(value);
    }
  }
  template <Struct T>
  void put(const T& value) {
    std::apply([this](const auto&... member) { (put(member), ...); }, members(value));
  }

 private:
  void count(std::size_t count) { append_be(out_, count, 4); }
  void sized(ByteView bytes) {
    count(bytes.size());
    append(out_, bytes);
  }
  void each(const auto& items) {
    count(items.size());
    for (const auto& item : items) put(item);
  }
  Bytes& out_;
};

class Decoder {
 public:
  explicit Decoder(ByteReader& reader) : reader_(reader) {}

  void get(bool& value) {
    const std::uint64_t byte = reader_.be(1);
    if (byte > 1) throw malformed("neither true nor false");
    value = byte == 1;
  }
  void get(std::uint64_t& value) { value = reader_.be(8); }
  void get(std::int64_t& value) { value = static_cast<std::int64_t>(reader_.be(8)); }
  void get(std::string& value) { value = text_of(sized()); }
  void get(Bytes& value) { value = copy(sized()); }
  void get(Json& value) { value = parse_canonical(text_of(sized()), "state"); }
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
      if (!items.empty() && !(*items.rbegin() < item)) throw malformed("a set that is not in order");
      items.insert(items.end(), std::move(item));
    }
  }
  template <typename K, typename V>
  void get(std::map<K, V>& items) {
    for (std::size_t left = count(); left > 0; --left) {
      K key{};
      get(key);
      if (!items.empty() && !(items.rbegin()->first < key)) throw malformed("a map that is not in order");
      get(items.emplace_hint(items.end(), std::move(key), V{})->second);
    }
  }
  template <Struct T>
  void get(T& value) {
    std::apply([this](auto&... member) { (get(member), ...); }, members(value));
  }

 private:
  ByteView sized() { return reader_.take(reader_.be(4)); }
  // No more items than bytes that remain.
  std::size_t count() {
    const std::uint64_t count = reader_.be(4);
    if (count > reader_.remaining()) throw malformed("more items than bytes");
    return count;
  }
  ByteReader& reader_;
};

}  // namespace

void encode_state(Bytes& out, const State& state) { Encoder(out).put(state); }

State decode_state(ByteReader& reader) {
  State state;
  Decoder(reader).get(state);
  return state;
}

}  // namespace qpcseal::audit
