// SPDX-License-Identifier: Apache-2.0
// What a hostile program can reach and do in the sandbox.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "confine/sandbox.h"
#include "tests/base/temp_folder.h"
#include "tests/confine/sandbox_here.h"

namespace qpcseal::confine {
namespace {

using Sandbox = qpcseal::testing::InSandbox;

constexpr const char* kScript = "/opt/vendor/tool";

// A Python program, as a file of the sandbox's alone.
Job python(const std::string& text) {
  Job job;
  job.command = {"/usr/bin/python3", kScript};
  job.files.push_back({kScript,
                       std::make_shared<const Fd>(
                           memory_file(view("import os, sys, time, socket, subprocess, signal\n" + text))),
                       true});
  job.limits.wall = std::chrono::seconds(20);
  return job;
}

std::string said(const std::string& text) {
  const Finished done = run(python(text));
  EXPECT_EQ(done.words(), "ended with exit status 0") << done.errors;
  return std::string(text_view(done.output));
}

Fd opened(const std::filesystem::path& dir) {
  return Fd(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

SecretBuffer secret_of(std::string_view text) {
  SecretBuffer out(text.size());
  std::ranges::copy(text, out.bytes().begin());
  return out;
}

// Those of the machine that have this word in their command line.
std::size_t processes_with_word(const std::string& word) {
  std::size_t out = 0;
  for (const auto& item : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(item.path() / "cmdline");
    std::ostringstream line;
    line << file.rdbuf();  // empty when the process ended meanwhile
    if (line.str().find(word) != std::string::npos) ++out;
  }
  return out;
}

TEST_F(Sandbox, PassesInputArgumentsAndOutput) {
  Job job = python("print(sys.argv[1:], sys.stdin.read())");
  job.command.insert(job.command.end(), {"--nonce", "a b"});
  job.input = copy(view("report"));
  EXPECT_EQ(text_view(run(job).output), "['--nonce', 'a b'] report\n");
}

TEST_F(Sandbox, TellsHowAProgramEnded) {
  for (const char* code : {"3", "128", "193", "255"})
    EXPECT_EQ(run(python("sys.exit(" + std::string(code) + ")")).words(),
              "ended with exit status " + std::string(code));
  const Finished killed = run(python("os.kill(os.getpid(), signal.SIGKILL)"));
  EXPECT_EQ(killed.end, End::Killed);
  EXPECT_EQ(killed.words(), "was killed by signal 9, or ended with exit status 137");
}

TEST_F(Sandbox, HasNoEnvironmentOfOurs) {
  ASSERT_EQ(setenv("QPCSEAL_TEST_ENVIRONMENT", "seen", 1), 0);
  EXPECT_EQ(said("print(sorted(set(os.environ) - {'PWD', 'LC_CTYPE'}))"), "[]\n");
}

TEST_F(Sandbox, HasNoNetwork) {
  EXPECT_EQ(said("print(socket.if_nameindex())\n"
                 "try: socket.create_connection(('127.0.0.1', 22), 1)\n"
                 "except OSError as e: print('none')"),
            "[(1, 'lo')]\nnone\n");
}

TEST_F(Sandbox, SeesNoFolderOfTheHost) {
  EXPECT_EQ(
      said("print([p for p in ('/home', '/root', '/var', '/etc/passwd', '/sys', '/run', '/mnt', '/srv') "
           "if os.path.exists(p)], os.listdir('/tmp'))"),
      "[] []\n");
}

TEST_F(Sandbox, SeesNoProcessOfTheHost) {
  EXPECT_EQ(said("print(max(int(p) for p in os.listdir('/proc') if p.isdigit()) < 10)"), "True\n");
}

TEST_F(Sandbox, HasNoDescriptorOfOurs) {
  const int leaked = open("/etc/passwd", O_RDONLY);  // without O_CLOEXEC
  ASSERT_GE(leaked, 0);
  EXPECT_EQ(said("print([f for f in os.listdir('/proc/self/fd') if int(f) > 2 and 'passwd' in "
                 "os.path.realpath('/proc/self/fd/' + f)])"),
            "[]\n");
  close(leaked);
}

TEST_F(Sandbox, HasNoTerminalAndASessionOfItsOwn) {
  EXPECT_EQ(said("try: open('/dev/tty')\nexcept OSError: print('none', os.getsid(0) == os.getpid() or "
                 "os.getsid(0) == 1 "
                 "or os.getsid(0) == 2)"),
            "none True\n");
}

TEST_F(Sandbox, HasNoCapabilitiesAndNoNamespacesToMake) {
  EXPECT_EQ(said("print([l.split()[1] for l in open('/proc/self/status') if l.startswith('CapEff')])\n"
                 "print(subprocess.run(['/usr/bin/unshare', '-U', 'true'], "
                 "stderr=subprocess.DEVNULL).returncode != 0)"),
            "['0000000000000000']\nTrue\n");
}

// What no namespace holds: calls by number, as a hostile program makes them.
constexpr const char* kCall =
    "import ctypes, errno\n"
    "libc = ctypes.CDLL(None, use_errno=True)\n"
    "def call(*words):\n"
    "  return 'done' if libc.syscall(*words) >= 0 else errno.errorcode[ctypes.get_errno()]\n";

TEST_F(Sandbox, ReachesNoKernelKeyring) {
  const auto call = [](long number) { return "call(" + std::to_string(number); };
  EXPECT_EQ(said(kCall + ("print(" + call(SYS_add_key)) + ", b'user', b'qpcseal-test', b'x', 1, -4), " +
                 call(SYS_keyctl) + ", 0, -3, 1), " + call(SYS_request_key) + ", b'user', b'x', None, 0))"),
            "EPERM EPERM EPERM\n");
}

TEST_F(Sandbox, OpensNoSocketsButLocalOnes) {
  EXPECT_EQ(said("for family in (40, 2, 10, 17, 38, 21):\n"  // AF_VSOCK, INET, INET6, PACKET, ALG, RDS
                 "  try: socket.socket(family, 1); print('made', family)\n"
                 "  except PermissionError: pass\n"
                 "socket.socketpair()"),
            "");
}

TEST_F(Sandbox, MakesNoMountsTracesNothingAndHasNoOtherDoors) {
  std::string numbers;
  for (const long number : {SYS_mount, SYS_fsopen, SYS_open_tree, SYS_move_mount, SYS_unshare, SYS_setns,
                            SYS_pivot_root, SYS_chroot, SYS_ptrace, SYS_process_vm_readv, SYS_pidfd_getfd,
                            SYS_io_uring_setup, SYS_bpf, SYS_userfaultfd, SYS_perf_event_open})
    numbers += std::to_string(number) + ", ";
  EXPECT_EQ(said(kCall + ("print({call(n, 0, 0, 0, 0, 0) for n in (" + numbers + ")})")), "{'EPERM'}\n");
}

TEST_F(Sandbox, HoldsItsFirstProcessToTheSameFilter) {
  EXPECT_EQ(said("print([l.split()[1] for l in open('/proc/1/status') if l.startswith('Seccomp:')])"),
            "['2']\n");
}

TEST_F(Sandbox, WritesNowhereButToItsTmp) {
  EXPECT_EQ(said("for p in ('/usr/x', '/x', '/dev/x', '/opt/vendor/x', '/opt/vendor/tool'):\n"
                 "  try: open(p, 'w'); print('wrote', p)\n"
                 "  except OSError: pass\n"
                 "open('/tmp/x', 'w')"),
            "");
}

TEST_F(Sandbox, WritesIntoAFolderThatItIsGiven) {
  const qpcseal::testing::TempFolder dir;
  Job job = python(
      "open('/qpcseal/out/a', 'w').write('made')\ntry: open('/qpcseal/in/b', 'w')\nexcept OSError: pass");
  const qpcseal::testing::TempFolder input;
  job.folders.push_back({"/qpcseal/out", opened(dir.path()), true});
  job.folders.push_back({"/qpcseal/in", opened(input.path()), false});
  EXPECT_EQ(run(job).words(), "ended with exit status 0");
  EXPECT_EQ(text_view(read_file(dir.path() / "a", 10)), "made");
  EXPECT_FALSE(std::filesystem::exists(input.path() / "b"));
}

TEST_F(Sandbox, HandsASecretOverInMemoryAlone) {
  const qpcseal::testing::TempFolder dir;
  Job job = python(
      "p = '/qpcseal/key/MEK.dat'\nout = open('/qpcseal/out/seen', 'w')\n"
      "print(open(p).read(), oct(os.stat(p).st_mode & 0o777), file=out)\n"
      "print([l.split(' - ')[1].split()[0] for l in open('/proc/self/mountinfo') if p in l], file=out)");
  job.folders.push_back({"/qpcseal/out", opened(dir.path()), true});
  job.secret = GivenSecret{"/qpcseal/key/MEK.dat", [] { return secret_of("sixteen bytes..."); }};
  EXPECT_EQ(run(job).words(), "ended with exit status 0");
  EXPECT_EQ(text_view(read_file(dir / "seen", 100)), "sixteen bytes... 0o400\n['tmpfs']\n");
}

TEST_F(Sandbox, KeepsNothingOfWhatAProgramWithASecretSays) {
  Job job = python("print(open('/key').read())\nsys.stderr.write(open('/key').read())\nsys.exit(3)");
  job.secret = GivenSecret{"/key", [] { return secret_of("sixteen bytes..."); }};
  const Finished done = run(job);
  EXPECT_EQ(done.words(), "ended with exit status 3");
  EXPECT_TRUE(done.output.empty());
  EXPECT_EQ(done.errors, "");
  job.limits.output = 10;
  EXPECT_EQ(run(job).end, End::Output) << "counted all the same";
}

TEST_F(Sandbox, DoesNotStartWhereTheSecretDoesNotCome) {
  const qpcseal::testing::TempFolder dir;
  Job job = python("open('/qpcseal/out/a', 'w')");
  job.folders.push_back({"/qpcseal/out", opened(dir.path()), true});
  job.secret = GivenSecret{"/key", []() -> SecretBuffer { throw Error(ErrorKind::Token, "no key"); }};
  try {
    static_cast<void>(run(job));
    FAIL() << "it ran";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "no key");
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST_F(Sandbox, EndsAProgramThatSleepsForEver) {
  Job job = python("time.sleep(1000)");
  job.limits.wall = std::chrono::seconds(1);
  const Finished done = run(job);
  EXPECT_EQ(done.end, End::TimedOut);
  EXPECT_EQ(done.words(), "ran longer than 1 s");
}

TEST_F(Sandbox, EndsOneThatUsesTheProcessorForEver) {
  Job job = python("while True: pass");
  job.limits.cpu = 1;
  const Finished done = run(job);
  EXPECT_EQ(done.end, End::Killed) << done.words();
}

TEST_F(Sandbox, EndsOneThatForksWithoutEnd) {
  Job job = python("while True:\n  try: os.fork()\n  except OSError: time.sleep(1000)");
  job.limits.wall = std::chrono::seconds(20);
  const Finished done = run(job);
  EXPECT_EQ(done.end, End::Processes) << done.words();
}

TEST_F(Sandbox, LeavesNoProcessBehind) {
  Job job = python(
      "for i in range(5):\n  if os.fork() == 0:\n    os.setsid()\n    time.sleep(1000)\ntime.sleep(0.5)");
  const std::string word = "left-by-" + std::to_string(getpid());
  job.command.push_back(word);
  std::size_t most = 0;
  job.watch = [&] {
    most = std::max(most, processes_with_word(word));
    return std::string();
  };
  EXPECT_EQ(run(job).words(), "ended with exit status 0");
  EXPECT_GE(most, 6U) << "they were there";
  EXPECT_EQ(processes_with_word(word), 0U);
}

TEST_F(Sandbox, EndsOneThatSaysTooMuch) {
  EXPECT_EQ(run(python("while True: print('x' * 1000)")).end, End::Output);
  EXPECT_EQ(run(python("sys.stdout.write('x' * 65537)")).end, End::Output);
  EXPECT_EQ(run(python("sys.stdout.write('x' * 65536)")).output.size(), 65536U);
  EXPECT_EQ(run(python("while True: sys.stderr.write('x' * 1000)")).end, End::Output);
}

TEST_F(Sandbox, EndsFilesAboveTheLimit) {
  const qpcseal::testing::TempFolder dir;
  Job job = python("f = open('/qpcseal/out/a', 'wb')\nwhile True: f.write(bytes(1 << 20))");
  job.folders.push_back({"/qpcseal/out", opened(dir.path()), true});
  const Finished done = run(job);
  EXPECT_EQ(done.end == End::Exited && done.code == 0, false) << done.words();
  EXPECT_LE(std::filesystem::file_size(dir.path() / "a"), job.limits.file_size);
}

// Each file is below the limit of one file, and none is in the folder. Two descriptors of a file are one
// file.
TEST_F(Sandbox, EndsOneThatHoldsTooMuchInFilesWithoutAName) {
  const qpcseal::testing::TempFolder dir;
  Job job = python(
      "held = []\nfor n in range(3):\n  f = open('/qpcseal/out/a', 'wb')\n  os.unlink('/qpcseal/out/a')\n"
      "  os.posix_fallocate(f.fileno(), 0, 1 << 20)\n  held += [f, os.dup(f.fileno())]\ntime.sleep(1)");
  job.folders.push_back({"/qpcseal/out", opened(dir.path()), true});
  job.limits.file_size = 2 << 20;
  job.limits.without_name = 4 << 20;
  EXPECT_EQ(run(job).words(), "ended with exit status 0");
  job.limits.without_name = 2 << 20;
  const Finished done = run(job);
  EXPECT_EQ(done.end, End::Stopped);
  EXPECT_EQ(done.words(), "held more than 2097152 bytes in files without a name");
}

TEST_F(Sandbox, FindsFilesWithoutANameWhereTheFirstThreadHasEnded) {
  const qpcseal::testing::TempFolder dir;
  Job job = python(
      "import ctypes, threading\nf = open('/qpcseal/out/a', 'wb')\nos.unlink('/qpcseal/out/a')\n"
      "os.posix_fallocate(f.fileno(), 0, 2 << 20)\n"
      "def rest():\n  time.sleep(2)\n  os._exit(0)\n"
      "threading.Thread(target=rest).start()\nctypes.CDLL(None).syscall(60, 0)");
  job.folders.push_back({"/qpcseal/out", opened(dir.path()), true});
  job.limits.without_name = 1 << 20;
  EXPECT_EQ(run(job).words(), "held more than 1048576 bytes in files without a name");
}

TEST_F(Sandbox, GoesOnWhereAnotherProcessHoldsFilesWithoutAName) {
  const qpcseal::testing::TempFolder dir;
  const Fd other(open((dir / "other").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  ASSERT_TRUE(other);
  ASSERT_EQ(unlink((dir / "other").c_str()), 0);
  ASSERT_EQ(posix_fallocate(other.get(), 0, 4 << 20), 0);
  Job job = python("time.sleep(0.5)");
  job.folders.push_back({"/qpcseal/out", opened(dir.path()), true});
  job.limits.without_name = 1 << 20;
  EXPECT_EQ(run(job).words(), "ended with exit status 0");
}

TEST_F(Sandbox, LimitsMemory) {
  EXPECT_EQ(said("try: bytearray(4 << 30)\nexcept MemoryError: print('none')"), "none\n");
}

TEST_F(Sandbox, EndsWhereItsWatchSaysSo) {
  Job job = python("time.sleep(1000)");
  job.watch = [] { return std::string("filled the folder"); };
  const Finished done = run(job);
  EXPECT_EQ(done.end, End::Stopped);
  EXPECT_EQ(done.words(), "filled the folder");
}

TEST_F(Sandbox, SaysThatAProgramIsMissing) {
  Job job;
  job.command = {"/no/such/program"};
  EXPECT_THROW(static_cast<void>(run(job)), Error);
}

TEST_F(Sandbox, MakesFilesThatNobodyChanges) {
  const Fd file = memory_file(view("text"));
  EXPECT_THROW(write_exact(file, view("more"), 0), Error);
}

}  // namespace
}  // namespace qpcseal::confine
