"""Kills a command at a chosen system call, before the kernel does it. What `strace -e inject=CALL:signal=KILL` does, but it
stops the command at calls of that name alone (SECCOMP_RET_TRACE), where strace stops at every call; x86-64.
"""

import ctypes
import os
import platform
import signal
import struct
import subprocess
import sys
import tempfile

HERE = platform.machine() == "x86_64" and sys.platform == "linux"

# number, and what its first arguments are: d a descriptor, s a path
CALLS = {"write": (1, "d"), "ioctl": (16, "d"), "pwrite64": (18, "d"), "fsync": (74, "d"), "fdatasync": (75, "d"),
         "ftruncate": (77, "d"), "rename": (82, "ss"), "mkdir": (83, "s"), "rmdir": (84, "s"), "link": (86, "ss"),
         "unlink": (87, "s"), "chmod": (90, "s"), "fchmod": (91, "d"), "openat": (257, "ds"), "unlinkat": (263, "ds"),
         "renameat": (264, "dsds"), "linkat": (265, "dsds"), "fallocate": (285, "d"), "renameat2": (316, "dsds")}

PTRACE_TRACEME, PTRACE_CONT, PTRACE_GETREGS, PTRACE_SETOPTIONS = 0, 7, 12, 0x4200
EVENT_EXEC, EVENT_SECCOMP = 4, 7
FOLLOW = 1 << 1 | 1 << 2 | 1 << 3 | 1 << EVENT_EXEC | 1 << EVENT_SECCOMP | 1 << 20  # fork, vfork, clone; and EXITKILL
ARGUMENTS = (14, 13, 12, 7)  # rdi, rsi, rdx, r10 of user_regs_struct
WALL = 0x40000000
AUDIT_ARCH_X86_64, RET_TRACE, RET_ALLOW = 0xC000003E, 0x7FF00000, 0x7FFF0000
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class Program(ctypes.Structure):
    """struct sock_fprog"""
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]


def stop_at(number):
    """Installs the filter: the tracer hears of calls of this number."""
    code = b"".join(struct.pack("=HBBI", *line) for line in (
        (0x20, 0, 0, 4), (0x15, 0, 3, AUDIT_ARCH_X86_64), (0x20, 0, 0, 0), (0x15, 0, 1, number),
        (0x06, 0, 0, RET_TRACE), (0x06, 0, 0, RET_ALLOW)))
    text = ctypes.create_string_buffer(code)
    program = Program(len(code) // 8, ctypes.addressof(text))
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(program), 0, 0):  # PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP
        os._exit(125)


def text_at(tid, address):
    with open(f"/proc/{tid}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        return memory.read(4096).split(b"\0")[0].decode(errors="replace")


def line_of(tid, call):
    """The call as a line of strace, with the paths of its descriptors."""
    registers = (ctypes.c_ulonglong * 27)()
    libc.ptrace(PTRACE_GETREGS, tid, None, registers)
    said = []
    for kind, register in zip(CALLS[call][1], ARGUMENTS):
        value = registers[register]
        if kind == "s":
            said.append(f'"{text_at(tid, value)}"')
            continue
        try:
            said.append(f"{value & 0xffffffff}<{os.readlink(f'/proc/{tid}/fd/{value & 0xffffffff}')}>")
        except OSError:
            said.append("AT_FDCWD")
    return f"{tid} {call}({', '.join(said)}) = ? (INJECTED)\n"


def follow(child, call, when):
    """Until the command ends. Its status, and the line of the call at which it was killed."""
    counts, running, line = {}, {child}, ""
    os.waitpid(child, 0)
    libc.ptrace(PTRACE_SETOPTIONS, child, None, FOLLOW)
    libc.ptrace(PTRACE_CONT, child, None, None)
    ended = None
    while running:
        tid, status = os.waitpid(-1, WALL)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            running.discard(tid)
            ended = status if tid == child else ended
            continue
        event, passed = status >> 16, os.WSTOPSIG(status)
        if tid not in running or event or passed == signal.SIGTRAP:
            passed = 0  # a new thread begins with a stop, which is not for it
        running.add(tid)
        if event == EVENT_EXEC:
            counts.clear()
        elif event == EVENT_SECCOMP:
            counts[tid] = counts.get(tid, 0) + 1
            if counts[tid] == when:
                line = line_of(tid, call)
                os.kill(tid, signal.SIGKILL)
                continue
        libc.ptrace(PTRACE_CONT, tid, None, passed)
    return ended, line


def run(command, env, call, when, inherited=(), stdin=None):
    """The command's result, and the line of the call at which it was killed, or nothing."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err, tempfile.TemporaryFile("w+") as given, \
            tempfile.TemporaryFile("w+") as trace:
        given.write(stdin or "")
        given.seek(0)
        if tracer := os.fork():  # a process of its own waits for the command, and for nothing else
            _, status = os.waitpid(tracer, 0)
        else:
            follow_in_child(command, env, call, when, inherited, given if stdin is not None else None, out, err, trace)
        trace.seek(0)
        ended, _, line = trace.read().partition("\n")
        if status or not ended:
            raise RuntimeError(f"the command could not be followed: {status}")
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(command, os.waitstatus_to_exitcode(int(ended)), out.read(), err.read()), line


def follow_in_child(command, env, call, when, inherited, given, out, err, trace):
    """Does not return."""
    code = 1
    try:
        signal.alarm(120)
        child = os.fork()
        if not child:
            signal.alarm(0)
            for stream, number in ((given, 0), (out, 1), (err, 2)):
                if stream:
                    os.dup2(stream.fileno(), number)
            for number in inherited:
                os.set_inheritable(number, True)
            libc.ptrace(PTRACE_TRACEME, 0, None, None)
            os.kill(os.getpid(), signal.SIGSTOP)
            stop_at(CALLS[call][0])
            os.execve(command[0], command, env)
        ended, line = follow(child, call, when)
        trace.write(f"{ended}\n{line}")
        trace.flush()
        code = 0
    finally:
        os._exit(code)
