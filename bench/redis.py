# SPDX-License-Identifier: MIT
"""What bench/parade and bench/two-services share: a cgroup with a limit, redis servers, a daemon, a table, a plot."""
import os, re, shutil, socket, subprocess, sys, tempfile, time

VALUE = 200
CHUNK = 10000


class Group:
    """A cgroup with pressure information, and a memory limit by version 2 or by version 1 beside it."""

    def __init__(self, name):
        mounts = open("/proc/self/mountinfo").read()
        v2 = re.search(r"^(?:\S+ ){4}(\S+) .* - cgroup2 ", mounts, re.M)
        v1 = re.search(r"^(?:\S+ ){4}(\S+) .* - cgroup \S+ \S*,memory", mounts, re.M)
        if not v2:
            raise SystemExit("no cgroup2 is mounted")
        self.unified = f"{v2[1]}/{name}"
        os.mkdir(self.unified)
        self.v1 = not os.path.exists(self.unified + "/memory.max")
        if self.v1 and not v1:
            os.rmdir(self.unified)
            raise SystemExit("no memory limit to be had")
        self.memory = f"{v1[1]}/{name}" if self.v1 else self.unified
        if self.v1:
            os.mkdir(self.memory)
        elif os.path.exists(self.memory + "/memory.swap.max"):
            self._write("memory.swap.max", "0")

    def _write(self, name, value):
        open(f"{self.memory}/{name}", "w").write(str(value))

    def _read(self, name):
        return open(f"{self.memory}/{name}").read()

    def limit(self, mib):
        self._write("memory.limit_in_bytes" if self.v1 else "memory.max", mib << 20 if mib else (-1 if self.v1 else "max"))

    def used_mib(self):
        used = int(self._read("memory.usage_in_bytes" if self.v1 else "memory.current"))
        key = "total_cache" if self.v1 else "file"
        return (used - int(re.search(rf"^{key} (\d+)", self._read("memory.stat"), re.M)[1])) / 2**20

    def kills(self):
        return int(re.search(r"^oom_kill (\d+)", self._read("memory.oom_control" if self.v1 else "memory.events"), re.M)[1])

    def stall_sec(self):
        return int(re.search(r"some.*total=(\d+)", open(self.unified + "/memory.pressure").read())[1]) / 1e6

    def enter(self):
        for path in {self.unified, self.memory}:
            open(path + "/cgroup.procs", "w").write("0")

    def remove(self):
        for path in {self.unified, self.memory}:
            for _ in range(100):
                try:
                    os.rmdir(path)
                    break
                except OSError:
                    time.sleep(0.1)


class Redis:
    """Debian's redis has its server in one file with redis-check-rdb, so redis-tools suffices."""

    def __init__(self, base, name, group=None, preload=None, env=None):
        self.socket_path = f"{base}/{name}.sock"
        env = dict(os.environ, **(env or {}))
        if preload:
            env["LD_PRELOAD"] = preload
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket_path, "--save", "", "--appendonly", "no", "--dir", base],
            executable="/usr/bin/redis-check-rdb", env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=group.enter if group else None)
        self.pid = self.process.pid
        for _ in range(100):
            try:
                self.socket = socket.socket(socket.AF_UNIX)
                self.socket.connect(self.socket_path)
                break
            except OSError:
                self.socket.close()
                time.sleep(0.05)
        self.socket.settimeout(60)

    def alive(self):
        return self.process.poll() is None

    def _pipe(self, commands, n):
        self.socket.sendall(commands)
        answer = 0
        while answer < n:
            part = self.socket.recv(1 << 16)
            if not part:
                raise OSError("killed")
            answer += part.count(b"\n")

    def load(self, n, value=VALUE, first=0):
        """Keys first to first + n - 1."""
        for at in range(first, first + n, CHUNK):
            end = min(first + n, at + CHUNK)
            self._pipe(b"".join(b"*3\r\n$3\r\nSET\r\n$11\r\nkey:%07d\r\n$%d\r\n%s\r\n" % (i, value, b"v" * value)
                                for i in range(at, end)), end - at)

    def delete(self, n, keep=100):
        for at in range(0, n, CHUNK):
            gone = [i for i in range(at, min(n, at + CHUNK)) if i % keep]
            self._pipe(b"".join(b"*2\r\n$3\r\nDEL\r\n$11\r\nkey:%07d\r\n" % i for i in gone), len(gone))

    def rss_mib(self):
        return int(open(f"/proc/{self.pid}/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20 if self.alive() else 0

    def stop(self):
        self.socket.close()
        if self.alive():
            self.process.kill()
        self.process.wait()


HAKMEM = "/libhakmem/.libs/libhakmem.so.0"  # below the build tree
DEBIAN = f"/usr/lib/{os.uname().machine}-linux-gnu/"

# Column: library, its settings, the daemon's configuration (None = no daemon).  A peer has the settings under which it
# held least after the deletions; Debian's redis is linked with jemalloc.
COLUMNS = {
    "untouched": (None, {}, None),
    "jemalloc": (None, {"MALLOC_CONF": "background_thread:true,dirty_decay_ms:0,muzzy_decay_ms:0"}, None),
    # PURGE_DELAY is what 2.1 and later call both others.
    "mimalloc": (DEBIAN + "libmimalloc.so.2.0", {"MIMALLOC_DECOMMIT_DELAY": "0", "MIMALLOC_SEGMENT_DECOMMIT_DELAY": "0",
                                                 "MIMALLOC_PURGE_DELAY": "0"}, None),
    "tcmalloc": (DEBIAN + "libtcmalloc_minimal.so.4", {"TCMALLOC_RELEASE_RATE": "1000",
                                                       "TCMALLOC_AGGRESSIVE_DECOMMIT": "1"}, None),
    "glibc": (DEBIAN + "libc.so.6", {"MALLOC_TRIM_THRESHOLD_": "4096", "MALLOC_TOP_PAD_": "0"}, None),
    "alone": (HAKMEM, {}, None),
    "idle": (HAKMEM, {}, "[Idle]\nProcessIdleSec={idle}\n[Pressure]\nLowThreshold=1s/1s\nMediumThreshold=1s/1s\n"
                         "CriticalThreshold=1s/1s\nHeadroomMedium=0%\nHeadroomCritical=0%\n"),
    "pressure": (HAKMEM, {}, "[Idle]\nProcessIdleSec=0\n"),
    "both": (HAKMEM, {}, "[Idle]\nProcessIdleSec={idle}\n"),
}


class Bench:
    def __init__(self, build):
        self.build = os.path.realpath(build)
        self.base = tempfile.mkdtemp(prefix="hakmem-bench.")
        self.daemon = None

    def serve(self, name, column, group=None):
        """A redis server under a column's allocator; refuses one that the library does not reach."""
        library, settings, _ = COLUMNS[column]
        library = library and (self.build + library if library == HAKMEM else library)
        server = Redis(self.base, name, group, library, {**settings, "HAKMEM_RUNTIME_DIR": self.base + "/run"})
        if library and os.path.realpath(library) not in open(f"/proc/{server.pid}/maps").read():
            raise SystemExit(f"{library} is not there, or not preloaded")
        return server

    def start_daemon(self, column, idle=2):
        config = COLUMNS[column][2]
        shutil.rmtree(self.base + "/run", ignore_errors=True)
        if config is None:
            return
        with open(self.base + "/conf", "w") as file:
            file.write("[Daemon]\nControlGroup=\n" + config.format(idle=idle))
        self.daemon = subprocess.Popen([self.build + "/hakmemd/hakmemd", "--config", self.base + "/conf", "--runtime-dir",
                                        self.base + "/run", "--record", self.base + "/record"],
                                       stderr=open(self.base + "/log", "w"))
        for _ in range(100):
            if os.path.exists(self.base + "/run/control.sock"):
                break
            time.sleep(0.05)

    def ctl(self, *words):
        return subprocess.run([self.build + "/hakmemctl/hakmemctl", "--runtime-dir", self.base + "/run", *words],
                              capture_output=True, text=True).stdout

    def log(self):
        return open(self.base + "/log").read() if self.daemon else ""

    def stop_daemon(self):
        if self.daemon:
            self.daemon.terminate()
            self.daemon.wait()
        self.daemon = None

    def end(self):
        self.stop_daemon()
        shutil.rmtree(self.base, ignore_errors=True)


def table(head, rows):
    widths = [max(len(str(row[i])) for row in [head] + rows) for i in range(len(head))]
    lines = []
    for row in [head] + rows:
        lines.append("  ".join(str(cell).ljust(width) if i == 0 else str(cell).rjust(width)
                               for i, (cell, width) in enumerate(zip(row, widths))).rstrip())
    return "\n".join(lines)


def plot(path, title, series, limit=None):
    """series: name -> [(seconds, MiB)].  An SVG by gnuplot, where that is installed."""
    if not shutil.which("gnuplot"):
        print(f"no {path}: gnuplot is not installed (Debian: gnuplot-nox)", file=sys.stderr)
        return
    script = [f'set terminal svg size 800,400 dynamic background "white"', f'set output "{path}"', f'set title "{title}"',
              'set xlabel "seconds"', 'set ylabel "MiB"', "set key outside right", "set yrange [0:*]"]
    for name, points in series.items():
        block = "d" + re.sub(r"\W", "_", name)
        script.append(f"${block} << EOD\n" + "\n".join(f"{x:.2f} {y:.1f}" for x, y in points) + "\nEOD")
    lines = [f'$d{re.sub(chr(92) + "W", "_", name)} with lines linewidth 2 title "{name}"' for name in series]
    if limit:
        lines.append(f'{limit} with lines dashtype 2 linecolor "black" title "limit"')
    script.append("plot " + ", ".join(lines))
    subprocess.run(["gnuplot"], input="\n".join(script) + "\n", text=True, check=False)
