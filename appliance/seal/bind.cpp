// SPDX-License-Identifier: Apache-2.0
#include "appliance/seal/bind.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"

namespace qpcseal::seal {

namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;  // bytes

void copy_by_hand(const Fd& from, const Fd& to, std::uint64_t at, std::uint64_t size) {
  Bytes buffer(kPiece);
  while (at < size) {
    const MutableBytes part = MutableBytes(buffer).first(std::min<std::uint64_t>(buffer.size(), size - at));
    read_exact(from, part, at);
    write_exact(to, part, at);
    at += part.size();
  }
}

// Returns how far the kernel came; it may stop early where it cannot (other file systems, old kernels).
std::uint64_t copy_in_kernel(const Fd& from, const Fd& to, std::uint64_t size) {
  off_t in = 0, out = 0;
  while (static_cast<std::uint64_t>(in) < size) {
    const ssize_t done =
        copy_file_range(from.get(), &in, to.get(), &out, size - static_cast<std::uint64_t>(in), 0);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0 && (errno == ENOSPC || errno == EIO || errno == EDQUOT)) throw_errno("copy_file_range");
    if (done <= 0) break;
  }
  return static_cast<std::uint64_t>(in);
}

}  // namespace

bool clone_whole(const Fd& from, const Fd& to) { return ioctl(to.get(), FICLONE, from.get()) == 0; }

bool copy_whole(const Fd& from, const Fd& to, std::uint64_t size) {
  if (clone_whole(from, to)) return true;
  copy_by_hand(from, to, copy_in_kernel(from, to, size), size);
  return false;
}

std::vector<Binding> bindings_for(const SealedTree& tree, const std::vector<Slots>& slots) {
  const auto loads = tree.loads();
  if (slots.size() != loads.size())
    throw Error(ErrorKind::Usage,
                "the container has " + std::to_string(loads.size()) +
                    (loads.size() == 1 ? " part" : " partitions") + ", and there are " +
                    std::to_string(slots.size()) + " wrapped MEKs",
                "one for each card, in the order of the partitions");
  std::vector<Binding> out;
  for (std::size_t i = 0; i < loads.size(); ++i) out.push_back({loads[i]->slot_page(), slots[i]});
  return out;
}

void write_slots(const Fd& file, const std::vector<Binding>& bindings) {
  for (const Binding& binding : bindings) write_exact(file, encode_slots(binding.slots), binding.slot_page);
}

void bind_copy(const Fd& source, std::uint64_t size, const std::vector<Binding>& bindings, const Fd& bound) {
  copy_whole(source, bound, size);
  if (file_size(bound) != size) throw Error(ErrorKind::Io, "the container changed while it was copied");
  write_slots(bound, bindings);
}

}  // namespace qpcseal::seal
