// SPDX-License-Identifier: Apache-2.0
#include "device/loader/load.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <set>

#include "base/error.h"
#include "device/loader/part.h"

namespace qpcseal::device {

namespace {

void check_cards(const SealedModel& model, std::span<const Card> cards) {
  const std::size_t parts = model.partitions.empty() ? 1 : model.partitions.size();
  if (cards.size() != parts)
    throw Error(ErrorKind::Usage, "the model has " + std::to_string(parts) +
                                      (parts == 1 ? " part, and " : " partitions, and ") +
                                      std::to_string(cards.size()) + " cards were given");
  std::set<unsigned> seen;
  for (const Card& card : cards)
    if (!seen.insert(card.number).second)
      throw Error(ErrorKind::Usage, "card " + std::to_string(card.number) + " is given twice");
}

std::uint64_t size_of(const std::vector<qpc::Segment>& rows) {
  std::uint64_t size = qpc::front_size(rows);
  for (const qpc::Segment& row : rows) size += row.size;
  return size;
}

LoadedPart loaded_part(const Card& card, const std::string& partition,
                       const std::vector<qpc::Segment>& rows) {
  LoadedPart out{card.number, partition, rows.size(), 0};
  for (const qpc::Segment& row : rows) out.bytes += row.size;
  return out;
}

// A model on its cards.
class Loading {
 public:
  Loading(const Fd& file, const SealedModel& model, std::span<const Card> cards)
      : model_(model), cards_(cards), root_(file, model.root) {
    for (const SealedContainer& partition : model.partitions) parts_.emplace_back(file, partition);
  }

  // What each card does before it decrypts anything. The MEK comes out of the slots of its partition, and
  // opens the root's tag too.
  void judge() {
    if (parts_.empty()) {
      root_.check_origin(cards_[0]);
      root_.open(root_.unwrap(cards_[0]).bytes());
    }
    for (std::size_t i = 0; i < parts_.size(); ++i)
      with_context("partition " + std::to_string(i) + " on card " + std::to_string(cards_[i].number), [&] {
        root_.check_origin(cards_[i]);
        parts_[i].check_origin(cards_[i]);
        const SecretBuffer mek = parts_[i].unwrap(cards_[i]);
        root_.open(mek.bytes());
        parts_[i].open(mek.bytes());
      });
    std::map<std::string, std::uint64_t> sizes;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      rows_.push_back(parts_[i].plain_rows({}));
      sizes[model_.partitions[i].segment] = size_of(rows_.back());
    }
    root_rows_ = root_.plain_rows(sizes);
  }

  // All bytes; `out`: the plain QPC.
  void run(const Fd* out) const {
    write(root_, root_rows_, out, 0);
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      const auto place = std::ranges::find(root_rows_, model_.partitions[i].segment, &qpc::Segment::name);
      with_context("partition " + std::to_string(i) + " on card " + std::to_string(cards_[i].number),
                   [&] { write(parts_[i], rows_[i], out, place->data_position); });
    }
  }

  [[nodiscard]] std::vector<LoadedPart> loaded() const {
    if (parts_.empty()) return {loaded_part(cards_[0], "", root_rows_)};
    std::vector<LoadedPart> out;
    for (std::size_t i = 0; i < parts_.size(); ++i)
      out.push_back(loaded_part(cards_[i], model_.partitions[i].segment, rows_[i]));
    return out;
  }

 private:
  static void write(const PartitionLoader& part, const std::vector<qpc::Segment>& rows, const Fd* out,
                    std::uint64_t begin) {
    if (out != nullptr) write_exact(*out, qpc::encode_front(rows, size_of(rows)), begin);
    part.run(out, begin, rows);
  }

  const SealedModel& model_;
  std::span<const Card> cards_;
  PartitionLoader root_;
  std::deque<PartitionLoader> parts_;
  std::vector<std::vector<qpc::Segment>> rows_;
  std::vector<qpc::Segment> root_rows_;
};

}  // namespace

Loaded load(const std::filesystem::path& path, std::span<const Card> cards,
            const std::optional<std::filesystem::path>& out, Existing existing) {
  const auto start = std::chrono::steady_clock::now();
  const Fd file = open_to_read(path);
  const SealedModel model = read_model(file);
  check_cards(model, cards);
  Loading loading(file, model, cards);
  loading.judge();
  if (out) {
    AtomicFile plain(*out, existing, 0600);
    loading.run(&plain.fd());
    plain.commit();
  } else {
    loading.run(nullptr);
  }
  Loaded loaded{model.root.model_name, model.root.model_version, loading.loaded(), 0};
  loaded.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return loaded;
}

}  // namespace qpcseal::device
