"""What the operating system and Python deny to a learner's code in the worker.

Linux denies it for good: Landlock (files, signals, other processes' memory) and a seccomp filter (new processes,
sockets). Python's audit hook reports what was tried. On other systems there is the hook alone, which compiled code
evades.
"""

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

MEMORY, SPACE, FILE, FILES = 4 << 30, 16 << 30, 64 << 20, 256  # bytes of data, addresses, bytes of a file, open files
ENFORCED = {  # what is denied, in words
    "files": "writing outside of a scratch folder",
    "network": "the network",
    "processes": "other processes: starting, reading and signalling them",
    "memory": f"memory beyond {MEMORY >> 30} GiB",
}


def confine(scratch: Path) -> list[str]:
    """Deny to this process what the system can deny, for good. It must have one thread.

    Parameters
    ----------
    scratch : Path
        The folder in which files may be written.

    Returns
    -------
    list of str
        The keys of `ENFORCED` that the system cannot deny.
    """
    denied = {"files": False, "network": False, "processes": False, "memory": False}
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGKILL: it ends with the judge
        denied["memory"] = _limit()
        if libc.prctl(38, 1, 0, 0, 0) == 0:  # PR_SET_NO_NEW_PRIVS
            denied["files"] = _landlock(libc, scratch)
            denied["network"] = denied["processes"] = _seccomp(libc)
    return [key for key, done in denied.items() if not done]


def _limit() -> bool:
    import resource

    limits = {resource.RLIMIT_DATA: MEMORY, resource.RLIMIT_AS: SPACE}  # shared memory does not count as data
    limits |= {resource.RLIMIT_FSIZE: FILE, resource.RLIMIT_NOFILE: FILES}
    limits[resource.RLIMIT_CORE] = 0
    for what, most in limits.items():
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))
    return True


# Landlock: https://docs.kernel.org/userspace-api/landlock.html. Its three calls have these numbers everywhere.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
WRITE_FILE, TRUNCATE, TCP, SCOPES = 1 << 1, 1 << 14, 3, 3
CHANGES = WRITE_FILE | 0x1FF0  # and removing or making files, folders and links
REFER = 1 << 13  # linking or renaming to another folder


def _landlock(libc: Any, scratch: Path) -> bool:
    """Deny writing outside of the scratch folder, TCP, and signals and `ptrace` to processes outside."""
    version = libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    if version < 1:
        return False
    files = CHANGES | (REFER if version >= 2 else 0) | (TRUNCATE if version >= 3 else 0)
    rules = struct.pack("=QQQ", files, TCP if version >= 4 else 0, SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = libc.syscall(CREATE_RULESET, rules, ctypes.c_size_t(size), ctypes.c_uint32(0))
    if ruleset < 0:
        return False
    device = WRITE_FILE | (files & TRUNCATE)
    for path, allowed in ((scratch, files), (Path("/dev/null"), device)):
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = struct.pack("=Qi", allowed, folder)
        added = libc.syscall(ADD_RULE, ruleset, 1, rule, ctypes.c_uint32(0))
        os.close(folder)
        if added:
            return False
    restricted = libc.syscall(RESTRICT_SELF, ruleset, ctypes.c_uint32(0)) == 0
    os.close(ruleset)
    return bool(restricted)


# seccomp: a program of the Berkeley Packet Filter sees the number and the arguments of each system call.
NUMBERS = {  # on x86-64 and AArch64; None where there is no such call
    "socket": (41, 198),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "tkill": (200, 130),
    "io_uring_setup": (425, 425),
    "perf_event_open": (298, 241),
    "mount": (165, 40),
    "unshare": (272, 97),
    "setns": (308, 268),
    # What outlives a process, and priorities.
    "shmget": (29, 194),
    "memfd_create": (319, 279),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274),
    "sched_setaffinity": (203, 122),
    # What Landlock does not cover: modes, owners, times and attributes of files.
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
}
OF_ITSELF = {"kill": (62, 129), "tgkill": (234, 131)}  # allowed for its own process
MMAP, SHARED = (9, 222), 0x21  # shared and anonymous memory, which does not count as data
IOCTL = (16, 29)
REQUESTS = (0x40086602, 0x401C5820, 0x5412, 0x541C)  # setting flags of files, and simulating terminal input
PRLIMIT, CLONE, CLONE3 = (302, 261), (56, 220), (435, 435)
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
LOAD, AND, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
ALLOW, DENY, ABSENT = 0x7FFF0000, 0x50000 | 1, 0x50000 | 38  # EPERM, ENOSYS
NUMBER, MACHINE, ARGUMENT, SECOND, FOURTH = 0, 4, 16, 24, 40  # offsets in the data of a filter
CLONE_THREAD, X32 = 0x10000, 0x40000000


def _seccomp(libc: Any) -> bool:
    """Deny new processes, sockets, other processes' memory and signals to them."""
    machine = platform.machine()
    if machine not in MACHINES:
        return False
    which, own = list(MACHINES).index(machine), os.getpid()
    program = [(LOAD, 0, 0, MACHINE), (EQUAL, 1, 0, MACHINES[machine]), (RETURN, 0, 0, DENY), (LOAD, 0, 0, NUMBER)]
    if machine == "x86_64":  # x32 has the same calls under other numbers
        program += [(AT_LEAST, 0, 1, X32), (RETURN, 0, 0, DENY)]
    for numbers in NUMBERS.values():
        number = numbers[which]
        if number is not None:
            program += [(EQUAL, 0, 1, number), (RETURN, 0, 0, DENY)]
    program += [
        (EQUAL, 0, 1, CLONE3[which]),
        (RETURN, 0, 0, ABSENT),
    ]  # a filter cannot see its flags; the C library then uses clone
    program += [(EQUAL, 0, 4, CLONE[which]), (LOAD, 0, 0, ARGUMENT), (ANY_BIT, 0, 1, CLONE_THREAD)]
    program += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, DENY)]
    for numbers in (*OF_ITSELF.values(), PRLIMIT):
        others = ((EQUAL, 1, 0, own), (EQUAL, 0, 1, 0)) if numbers == PRLIMIT else ((EQUAL, 0, 1, own),)
        program += [(EQUAL, 0, len(others) + 3, numbers[which]), (LOAD, 0, 0, ARGUMENT), *others]
        program += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, DENY)]
    program += [(EQUAL, 0, 5, MMAP[which]), (LOAD, 0, 0, FOURTH), (AND, 0, 0, SHARED), (EQUAL, 0, 1, SHARED)]
    program += [(RETURN, 0, 0, DENY), (RETURN, 0, 0, ALLOW)]
    program += [(EQUAL, 0, 2 * len(REQUESTS) + 2, IOCTL[which]), (LOAD, 0, 0, SECOND)]
    program += [x for request in REQUESTS for x in ((EQUAL, 0, 1, request), (RETURN, 0, 0, DENY))]
    program += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ALLOW)]
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code)
    filtered = struct.pack("HxxxxxxP", len(program), ctypes.addressof(buffer))
    return bool(libc.prctl(22, 2, filtered, 0, 0) == 0)  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


# Python's audit hook: https://docs.python.org/3/library/audit_events.html
PROCESSES = ("os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "subprocess.Popen")
SEARCHES = ("gc.get_objects", "gc.get_referrers", "sys._current_frames", "sys._current_exceptions")
HOOKS = ("sys.settrace", "sys.setprofile", "sys.addaudithook")
CHANGING = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "os.link", "os.symlink",
            "os.utime", "os.setxattr", "os.removexattr")  # fmt: skip
LIBRARIES = {"torch": "PyTorch", "jax": "JAX", "tensorflow": "TensorFlow", "cupy": "CuPy"}
OPEN = ("fastae", "fastae.datasets", "fastae.errors")  # modules of this library that a learner's file may import
KEPT = ("backends", "ladder", "bench")  # folders of this library with kernels, which must not be read


def forbid(
    scratch: Path,
    report: Callable[[str], None],
    learners: Path,
    allowed: Sequence[str] | None = None,
    kept: Sequence[str] = (),
) -> None:
    """Let Python refuse and report what no kernel does. It cannot be undone.

    Parameters
    ----------
    scratch : Path
        The folder in which files may be written.
    report : callable
        Called with what was tried, in words.
    learners : Path
        The learner's file, which may be read wherever it is.
    allowed : sequence of str, optional
        The modules of fastae that may be imported; by default all.
    kept : sequence of str
        The folders of fastae of which no file but the learner's may be read.
    """
    inside, home = os.path.realpath(scratch), str(Path(__file__).resolve().parents[2])
    closed, own = tuple(os.path.join(home, name, "") for name in kept), os.getpid()

    def outside(path: Any) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False  # an open file's number
        real = os.path.realpath(os.fsdecode(path))
        return not (real == os.devnull or real == inside or real.startswith(inside + os.sep))

    def what(event: str, arguments: tuple[Any, ...]) -> str:
        if event == "import":
            name = str(arguments[0])
            if allowed is not None and name.partition(".")[0] in LIBRARIES:
                return f"it imports {name}: a kernel must not use those of {LIBRARIES[name.partition('.')[0]]}"
            if allowed is not None and name.partition(".")[0] == "fastae" and name not in allowed:
                return f"it imports {name}: a kernel must not use those of fastae"
        elif event == "open":
            path, mode, flags = (*arguments, None, 0)[:3]
            writes = bool(set("wax+") & set(mode)) if isinstance(mode, str) else bool(flags & 3)
            if writes and outside(path):
                return f"it writes the file {os.path.basename(os.fsdecode(path))}"
            named = isinstance(path, str | bytes)
            real = os.path.realpath(os.fsdecode(path)) if named else ""
            if real.startswith(closed) and os.path.basename(real).partition(".")[0] != learners.stem:
                return f"it reads fastae's own file {os.path.relpath(real, home)}"
            if named and os.fsdecode(path).startswith("/proc/") and os.fsdecode(path).endswith(("/mem", "/environ")):
                return f"it reads {os.fsdecode(path)}"
        elif event in PROCESSES:
            return "it starts a process"
        elif event in ("os.kill", "os.killpg") and arguments[0] != own:
            return "it sends a signal to another process"
        elif event.startswith("socket."):
            return "it uses the network"
        elif event == "ctypes.dlopen":
            return f"it loads the library {arguments[0] or 'of this process'}: a kernel is judged for its own code"
        elif event in SEARCHES:
            return f"it searches the memory of the process ({event})"
        elif event in HOOKS:
            return f"it hooks into the interpreter ({event})"
        elif event in CHANGING and any(outside(path) for path in arguments[: 1 + (event in ("os.rename", "os.link"))]):
            return f"it changes files ({event})"
        return ""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        wrong = what(event, arguments)
        if wrong:
            report(wrong)
            raise PermissionError(f"refused: {wrong}")

    sys.addaudithook(hook)
