# SPDX-License-Identifier: MIT
"""What the tests in Python share: a daemon of their own, its control socket, clients that speak the protocol, TAP.

Everything happens in a private directory, and every process started is ended.
"""
import array, atexit, contextlib, fcntl, json, os, re, shutil, signal, socket, struct, subprocess, sys, tempfile, time
import traceback

BUILD = os.environ.get("top_builddir", os.getcwd())
HAKMEMD = f"{BUILD}/hakmemd/hakmemd"
HAKMEMCTL = f"{BUILD}/hakmemctl/hakmemctl"
LIBRARY = f"{BUILD}/libhakmem/.libs/libhakmem.so.0"

NOBODY = 65534

HELLO, BYE, WELCOME, FLUSH, RESULT, SURVEY = 10, 11, 20, 30, 31, 32
BYE_QUOTA, BYE_PROTOCOL = 4, 5
MAGIC = 0x314D4B48
STATS_BYTES = 8192
STATS_MAGIC = 0x53544154534D4B48
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | 0x10 | fcntl.F_SEAL_SEAL  # 0x10: FUTURE_WRITE

for name in [name for name in os.environ if name.startswith("HAKMEM")]:
    del os.environ[name]


# ---- TAP

class Failed(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Failed(what)


class Tap:
    """One line per test; a failing one says why, and shows the end of the daemon's log."""

    def __init__(self):
        self.n = 0
        self.daemon = None

    def skip_all(self, why):
        print(f"1..0 # SKIP {why}")
        sys.exit(0)

    def check(self, name, test, *arguments):
        self.n += 1
        try:
            test(*arguments)
            print(f"ok {self.n} - {name}", flush=True)
            return
        except Failed as failure:
            why = str(failure)
        except Exception:
            why = traceback.format_exc()
        print(f"not ok {self.n} - {name}")
        log = [line for line in self.daemon.log() if "reason=request" not in line][-10:] if self.daemon else []
        for line in why.splitlines() + log:
            print(f"#   {line}", flush=True)

    def skip(self, name, why):
        self.n += 1
        print(f"ok {self.n} - {name} # SKIP {why}", flush=True)

    def note(self, text):
        print(f"# {text}", flush=True)

    def end(self):
        print(f"1..{self.n}", flush=True)


# ---- waiting, processes, users

def until(condition, what, seconds=10):
    """The first true value of `condition`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        need(time.monotonic() < end, f"never: {what}")
        time.sleep(0.02)


def n_fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def rss_bytes(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"^VmRSS:\s+(\d+)", status.read(), re.M)[1]) * 1024


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")


def become(uid, gid=NOBODY, groups=()):
    os.setgroups(list(groups))
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def started(function, uid=None, **identity):
    """Run `function` in a child, as another user where one is named; returns its pid."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            atexit.unregister(remove_bases)
            if uid is not None:
                become(uid, **identity)
            function()
            code = 0
        except Failed as failure:
            print(f"#   {failure}")
        except BaseException:
            print("".join(f"#   {line}\n" for line in traceback.format_exc().splitlines()), end="")
        finally:
            sys.stdout.flush()
            os._exit(code)
    return pid


def ended(pid, seconds=60):
    """Wait for a child; its exit code, or the negative number of the signal that ended it."""
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise Failed(f"process {pid} did not end within {seconds} s")
        time.sleep(0.01)


def as_user(uid, function, seconds=60, **identity):
    need(ended(started(function, uid, **identity), seconds) == 0, f"failed as uid {uid}")


bases = []


def remove_bases():
    for base in bases:
        shutil.rmtree(base, ignore_errors=True)


atexit.register(remove_bases)


def private_directory():
    base = tempfile.mkdtemp(prefix="hakmem-test.")
    os.chmod(base, 0o755)
    bases.append(base)
    return base


def connected(path, kind, timeout):
    """Waits for room in the queue of the listening socket, which a socket with Python's own timeout would not."""
    sock = socket.socket(socket.AF_UNIX, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, 0) if timeout is None
                    else struct.pack("ll", int(timeout), int(timeout % 1 * 1e6)))
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    sock.settimeout(timeout)
    return sock


# ---- the daemon

class Daemon:
    """hakmemd with a /proc and cgroups of the test's own, calm at first, and no idle flushes."""

    def __init__(self, *lines, base=None, command=(HAKMEMD,), environment=None, limits=None):
        self.base = base or private_directory()
        self.dir = f"{self.base}/run"
        self.command, self.environment, self.limits = list(command), environment or {}, limits
        self.process = None
        os.makedirs(f"{self.base}/proc/pressure", exist_ok=True)
        self.host()
        self.configure(*lines)

    def configure(self, *lines):
        with open(f"{self.base}/conf", "w") as conf:
            conf.write(f"[Daemon]\nProcRoot={self.base}/proc\nCgroupRoot={self.base}/nocgroup\nControlGroup=\n"
                       "[Idle]\nProcessIdleSec=0\n" + "".join(line + "\n" for line in lines))

    def host(self, stall_usec=0, available_percent=80, reclaims=0, stalls=None):
        """What the host's pressure files say."""
        fresh = f"{self.base}/proc/pressure/memory.new"
        with open(fresh, "w") as file:
            for kind, total in (("some", stall_usec), ("full", 0)):
                file.write(f"{kind} avg10=0.00 avg60=0.00 avg300=0.00 total={total}\n")
        os.rename(fresh, f"{self.base}/proc/pressure/memory")
        with open(f"{self.base}/proc/meminfo", "w") as file:
            file.write(f"MemTotal: 1000000 kB\nMemFree: 1 kB\nMemAvailable: {available_percent}0000 kB\n")
        with open(f"{self.base}/proc/vmstat", "w") as file:
            file.write(f"allocstall_normal {reclaims if stalls is None else stalls}\npgscan_direct {reclaims}\n")

    def start(self, seconds=10):
        arguments = self.command + ["--config", f"{self.base}/conf", "--runtime-dir", self.dir]
        log = open(f"{self.base}/log", "ab")
        self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=dict(os.environ, **self.environment), preexec_fn=self.limits)
        self.pid = self.process.pid
        atexit.register(self.kill)
        until(lambda: self.process.poll() is not None or self.answers(), "the daemon starts", seconds)
        return self

    def answers(self):
        with contextlib.suppress(OSError, Failed):
            return self.call("Status")

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, seconds=10):
        self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed("the daemon does not stop")

    def kill(self):
        if self.alive():
            self.process.kill()
            self.process.wait()

    def log(self):
        with open(f"{self.base}/log", errors="replace") as file:
            return file.read().splitlines()

    def logged(self, pattern):
        return any(re.search(pattern, line) for line in self.log())

    def connect_control(self, timeout=10):
        return connected(f"{self.dir}/control.sock", socket.SOCK_STREAM, timeout)

    def call(self, method, timeout=10, **parameters):
        """The parameters of the answer, with its error under "error"."""
        with self.connect_control(timeout) as control:
            return ask(control, method, **parameters)

    def processes(self):
        return self.call("Status")["totals"]["processes"]


def ask(control, method, **parameters):
    control.sendall(json.dumps({"method": f"io.hakmem.{method}", "parameters": parameters}).encode() + b"\0")
    data = b""
    while not data.endswith(b"\0"):
        part = control.recv(65536)
        need(part, "the daemon hung up")
        data += part
    try:
        answer = json.loads(data[:-1])
    except ValueError:
        raise Failed(f"no JSON: {data}")
    return dict(answer["parameters"], **({"error": answer["error"]} if "error" in answer else {}))


# ---- clients

def frame(kind, payload=b"", seq=0, magic=MAGIC, major=1, length=None):
    return struct.pack("<IBBHII", magic, major, kind, 16 + len(payload) if length is None else length, seq, 0) + payload


def segment(releasable=0, activity=0, size=STATS_BYTES, seals=SEALS, flags=0, fill=None, magic=STATS_MAGIC):
    """A stats segment; `fill` puts one value into every counter, else all that is releasable is in cold magazines."""
    fd = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING | flags)
    os.ftruncate(fd, size)
    values = [fill] * ((STATS_BYTES - 16) // 8) if fill is not None else [activity, 0, 0, 0, releasable, releasable]
    if not flags:
        os.pwrite(fd, struct.pack(f"<QII{len(values)}Q", magic, 1, STATS_BYTES, *values), 0)
    if seals:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def send(sock, data, fds=()):
    sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])


class Client:
    """One connection to the client socket; registered unless told otherwise."""

    def __init__(self, daemon, register=True, timeout=10, **stats):
        self.socket = connected(f"{daemon.dir}/client.sock", socket.SOCK_SEQPACKET, timeout)
        if register:
            fd = segment(**stats)
            self.hello([fd])
            os.close(fd)
            need((self.receive() or [BYE])[0] == WELCOME, "not welcomed")

    def hello(self, fds):
        send(self.socket, frame(HELLO, struct.pack("<IIQ", 0x100, 0, STATS_BYTES)), fds)

    def receive(self):
        """Type, seq and payload of one frame; None where the daemon has hung up."""
        try:
            data, fds, _, _ = socket.recv_fds(self.socket, 256, 4)
        except ConnectionError:
            return None
        for fd in fds:
            os.close(fd)
        if not data:
            return None
        _, _, kind, _, seq, _ = struct.unpack_from("<IBBHII", data)
        return kind, seq, data[16:]

    def answer(self, seq, released=0, status=0, usec=1):
        send(self.socket, frame(RESULT, struct.pack("<IIQQIIQQ", status, 2, released, usec, 1, 0, 0, 0), seq))

    def end(self):
        """Reads to the end; the reason of the BYE, or None."""
        reason = None
        while (got := self.receive()) is not None:
            if got[0] == BYE:
                reason = struct.unpack_from("<I", got[2])[0]
        return reason

    def serve(self, released=0):
        """Answers for ever."""
        while (got := self.receive()) is not None and got[0] != BYE:
            if got[0] in (FLUSH, SURVEY):
                self.answer(got[1], released)

    def close(self):
        self.socket.close()
