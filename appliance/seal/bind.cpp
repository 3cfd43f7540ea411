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

void copy_whole(const Fd& from, const Fd& to, std::uint64_t size) {
  if (ioctl(to.get(), FICLONE, from.get()) == 0) return;
  copy_by_hand(from, to, copy_in_kernel(from, to, size), size);
}

}  // namespace

void write_slots(const Fd& file, std::uint64_t slot_page, const Slots& slots) {
  write_exact(file, encode_slots(slots), slot_page);
}

void bind_copy(const Fd& source, const SealedContainer& container, const Slots& slots, const Fd& bound) {
  copy_whole(source, bound, container.layout().file_size);
  if (file_size(bound) != container.layout().file_size)
    throw Error(ErrorKind::Io, "the container changed while it was copied");
  write_slots(bound, container.layout().slot_page, slots);
}

}  // namespace qpcseal::seal
