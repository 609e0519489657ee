"""The servers: how each is got, started and spoken to."""

from copy import copy
from dataclasses import dataclass
from pathlib import Path

from . import install
from .install import Missing
from .places import PEERS

JAVA_HEAP = "2g"


class Peer:
    """A server of the comparison."""

    #: As in `--only`.
    name = ""
    #: As in tables.
    title = ""
    #: Threads that do its work, in words.
    threads = "1"
    #: A file in bench/peers/dialects.
    dialect = "raw"
    #: What it sends back, if it can.
    echoes = True
    #: How long it is warmed up: compilers that watch need longer than buffers that grow.
    warm_up_ms = 200
    #: How long it may take to end when asked to.
    end_timeout_s = 3
    #: What a reader of the table has to know.
    note = ""

    def __init__(self):
        self.version = ""

    def prepare(self, debug: bool):
        """Gets it into the cache and learns its version; raises `Missing`."""
        raise NotImplementedError

    def command(self, port: int, directory: Path) -> tuple[list, dict]:
        """What to run, and what to add to its environment."""
        raise NotImplementedError


class Epush(Peer):
    name, title = "epush", "epush"
    threads = "1 reactor, 1 acceptor"
    dialect = "epush"
    # It closes its sessions in peace first: there is nobody left to be kind to.
    end_timeout_s = 0.2

    def __init__(self):
        super().__init__()
        self.more: list[str] = []

    def prepare(self, debug):
        self.binary = install.own("epush", debug)
        self.version = install.command([self.binary, "--version"]).split()[-1]

    def command(self, port, directory):
        listen = ["--set", f"server.listen=127.0.0.1:{port}", "--set", "server.api=127.0.0.1:0"]
        return [self.binary, "--config", PEERS / "epush" / "epush.toml", *listen, *self.more], {}

    def with_arguments(self, more: list[str]) -> "Epush":
        """The same program, told more."""
        other = copy(self)
        other.more = more
        return other


class RustPeer(Peer):
    package = ""
    crate = ""

    def prepare(self, debug):
        self.binary = install.rust_peer(self.package, debug)
        self.version = install.locked_version(self.crate)

    def command(self, port, directory):
        return [self.binary, port], {}


class Floor(RustPeer):
    name, title = "floor", "floor"
    package, crate = "floor", "floor"
    note = "no server: what the kernel costs"

    def prepare(self, debug):
        super().prepare(debug)
        self.version = "–"


class TokioTungstenite(RustPeer):
    name, title = "tokio-tungstenite", "tokio-tungstenite"
    package, crate = "tokio-tungstenite-peer", "tokio-tungstenite"
    note = "read buffer 4 KiB instead of 128 KiB"


class FastWebsockets(RustPeer):
    name, title = "fastwebsockets", "fastwebsockets"
    package, crate = "fastwebsockets-peer", "fastwebsockets"


class NodePeer(Peer):
    packages: dict[str, str] = {}
    script = ""
    threads = "1 (and V8's own)"
    warm_up_ms = 1_500

    def prepare(self, debug):
        self.node = install.program("node", "nodejs")
        install.program("npm", "npm")
        self.modules = install.npm({**NODE_PACKAGES})
        runtime = install.command([self.node, "--version"]).strip().lstrip("v")
        self.version = f"{install.npm_version(self.name)}, Node {runtime}"

    def command(self, port, directory):
        return [self.node, PEERS / "node" / self.script, port], {
            "NODE_PATH": str(self.modules),
            "NODE_ENV": "production",
        }


# One npm call gets all of them; bufferutil is the native mask that both recommend.
NODE_PACKAGES = {"ws": "^8.18", "socket.io": "^4.8", "bufferutil": "^4.0"}


class NodeWs(NodePeer):
    name, title = "ws", "Node ws"
    script = "ws.js"


class SocketIo(NodePeer):
    name, title = "socket.io", "Socket.IO"
    script = "socketio.js"
    dialect = "socketio"


class Netty(Peer):
    name, title = "netty", "Netty"
    threads = "1 boss, 1 worker (and the JVM's own)"
    warm_up_ms = 1_500

    def prepare(self, debug):
        root, version = install.debian("libnetty-java")
        queues, _ = install.debian("libjctools-java")
        jars = [jar for jar in (root / "usr/share/java").glob("netty-*.jar") if jar.stem.count("-") < 4]
        jars += (queues / "usr/share/java").glob("jctools-core*.jar")
        self.classpath = ":".join(str(jar) for jar in sorted(jars))
        self.java = install.program("java", "default-jdk-headless")
        self.classes = install.java_classes(PEERS / "netty" / "Peer.java", self.classpath)
        release = Path(self.java).resolve().parent.parent / "release"
        runtime = [line for line in release.read_text().splitlines() if line.startswith("JAVA_VERSION=")] if release.exists() else []
        runtime = runtime[0].split('"')[1] if runtime else "?"
        self.version = f"{version.split(':')[-1].split('-')[0]}, Java {runtime}"

    def command(self, port, directory):
        options = [
            f"-Xms{JAVA_HEAP}",
            f"-Xmx{JAVA_HEAP}",
            "-Dio.netty.leakDetection.level=disabled",
            "-Dio.netty.buffer.checkBounds=false",
            "-Dio.netty.buffer.checkAccessible=false",
        ]
        return [self.java, *options, "-cp", f"{self.classes}:{self.classpath}", "Peer", port], {}


class Nats(Peer):
    name, title = "nats", "NATS"
    threads = "GOMAXPROCS=1"
    dialect = "nats"

    def prepare(self, debug):
        root, self.version = install.debian("nats-server")
        self.binary = next(root.glob("usr/*bin/nats-server"))

    def command(self, port, directory):
        config = filled(PEERS / "nats" / "nats.conf", directory, PORT=port, PORT_PLAIN=-1)
        return [self.binary, "-c", config], {"GOMAXPROCS": "1"}


class Nchan(Peer):
    name, title = "nchan", "nchan"
    threads = "1 worker (and nginx's master)"
    echoes = False
    note = "no echo in it"

    def prepare(self, debug):
        module, version = install.debian("libnginx-mod-nchan")
        nginx, server_version = install.debian("nginx")
        self.module = next(module.glob("usr/lib/nginx/modules/ngx_nchan_module.so"))
        self.binary = nginx / "usr/sbin/nginx"
        self.version = f"{version.split(':')[-1].split('+')[0]}, nginx {server_version.split('-')[0]}"

    def command(self, port, directory):
        config = filled(PEERS / "nchan" / "nginx.conf", directory, PORT=port, DIR=directory, MODULE=self.module)
        return [self.binary, "-c", config, "-p", directory, "-e", "stderr"], {}


class Socketify(Peer):
    name, title = "socketify", "uWebSockets (socketify)"
    note = "the fan-out is C++; messages come and echoes go through Python"

    def prepare(self, debug):
        # Its native half is linked with the system's libuv.
        root, _ = install.debian("libuv1")
        self.libraries = next(root.glob("usr/lib/*/libuv.so.1")).parent
        self.python = install.pip("socketify==0.0.31")
        self.version = install.pip_version(self.python, "socketify")

    def command(self, port, directory):
        return [self.python, PEERS / "socketify" / "server.py", port], {"LD_LIBRARY_PATH": str(self.libraries)}


def filled(template: Path, directory: Path, **places) -> Path:
    """A configuration with its `@…@` filled in."""
    text = template.read_text()
    for place, value in places.items():
        text = text.replace(f"@{place}@", str(value))
    path = directory / template.name
    path.write_text(text)
    return path


@dataclass(frozen=True)
class Absent:
    """A server that cannot be had here, and why: said in the results, not left out."""

    title: str
    why: str


#: Floor and epush first: their ratio is what counts, so they run next to each other.
ALL = [Floor, Epush, Nchan, NodeWs, SocketIo, TokioTungstenite, FastWebsockets, Netty, Nats, Socketify]


def prepare(only: list[str], debug: bool, say) -> tuple[list[Peer], list[Absent]]:
    """Gets every server that was asked for."""
    known = {peer.name for peer in ALL}
    if unknown := set(only) - known:
        raise SystemExit(f"bench/compare: no server is called {', '.join(sorted(unknown))}: there is {', '.join(sorted(known))}")
    present, absent = [], []
    for peer in [kind() for kind in ALL if not only or kind.name in only]:
        say(f"{peer.title}: getting it")
        try:
            peer.prepare(debug)
            present.append(peer)
        except Missing as missing:
            absent.append(Absent(peer.title, str(missing)))
            say(f"{peer.title}: cannot be had here: {missing}")
    return present, absent
