"""Fill a room with learners and see whether it holds: `sudo python workshop/load_test.py --learners 12`.

Starts the hub with this folder's configuration, only that its learners need no password in PAM, and writes what it
measured to workshop/results.json. Hub, learners and their system users exist in namespaces of their own: they have a
loopback that nobody else reaches, /etc/passwd stays as it is, and all processes end with this one.
"""

import argparse
import asyncio
import fcntl
import json
import os
import re
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import psutil
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

HERE = Path(__file__).resolve().parent
HUB = "http://127.0.0.1:8000"
PASSWORD = uuid.uuid4().hex
FIRST_UID = 61_000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # as Linux numbers them
PAGE = "01-logistic-regression.ipynb"
CONFIG = """
load_subconfig({config!r})
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = {password!r}
c.Authenticator.allowed_users = {names!r}
"""
# The shell stays, as the first process of its namespace, and sees to those whose parents have died.
INSIDE = 'mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/group" /etc/group && shift && "$@"'
SAMPLE = """import textgen
model, tokenizer = textgen.load("pocket-gpt")
print(textgen.generate(model, tokenizer, "Once there was", max_new_tokens=60, seed=3))"""
CHAT = """from textgen.dialogue import reply
model, tokenizer = textgen.load("pocket-chat")
said = [{"role": "user", "content": "Hello! My name is Ada."}]
said += [{"role": "assistant", "content": reply(model, tokenizer, said)}]
said += [{"role": "user", "content": "What is my name?"}]
print(reply(model, tokenizer, said))"""
KEPT = "kept = 'in memory'; open('note.txt', 'w').write({name!r})"
DIE = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
GREEDY = """try:
    bytearray(8 << 30)
    print("got it")
except MemoryError:
    print("refused")"""
PRY = """from pathlib import Path
for path in {paths!r}:
    try:
        list(Path(path).iterdir()) if Path(path).is_dir() else Path(path).read_bytes()
        print("read", path)
    except PermissionError:
        print("refused")"""


class Learner:
    """One learner: a browser's part is played by the hub's and the server's own interfaces."""

    def __init__(self, name: str, home: Path):
        self.name, self.home, self.token, self.socket, self.kernel = name, home, "", None, ""

    async def ask(self, method: str, path: str, body: dict | None = None):
        """Send a request with the learner's token and return the answer's JSON; raises HTTPClientError."""
        text = json.dumps(body) if body is not None else "" if method == "POST" else None
        headers = {"Authorization": f"token {self.token}"} if self.token else {}
        request = HTTPRequest(HUB + path, method, headers, text, request_timeout=300, follow_redirects=False)
        return json.loads((await AsyncHTTPClient().fetch(request)).body or "null")

    async def log_in(self) -> None:
        """Exchange name and password for a token."""
        answer = await self.ask(
            "POST",
            f"/hub/api/users/{self.name}/tokens",
            {"auth": {"username": self.name, "password": PASSWORD}},
        )
        self.token = answer["token"]

    async def start(self) -> float:
        """Start server and kernel; return the seconds from the wish to the kernel's first answer."""
        begin = time.perf_counter()
        await self.ask("POST", f"/hub/api/users/{self.name}/server")
        while not (await self.ask("GET", f"/hub/api/users/{self.name}"))["server"]:
            await asyncio.sleep(0.5)
        page = {"name": "python3", "path": PAGE}
        self.kernel = (await self.ask("POST", f"/user/{self.name}/api/kernels", page))["id"]
        await self.connect()
        assert await self.run("print(6 * 7)") == "42\n"
        return time.perf_counter() - begin

    async def connect(self) -> None:
        """Open the kernel's channels."""
        address = f"{HUB.replace('http', 'ws')}/user/{self.name}/api/kernels/{self.kernel}/channels"
        self.socket = await websocket_connect(
            HTTPRequest(address, headers={"Authorization": f"token {self.token}"}, request_timeout=120)
        )

    async def send(self, code: str) -> str:
        """Send code to the kernel and return the message's name."""
        header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "version": "5.3"}
        header |= {"username": self.name, "session": self.name, "date": ""}
        message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "buffers": []}
        message["content"] = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        await self.socket.write_message(json.dumps(message))
        return header["msg_id"]

    async def run(self, code: str) -> str:
        """Run code in the kernel and return what it printed; raises RuntimeError with what it raised."""
        number, printed = await self.send(code), ""
        async for message in self.messages():
            content = message["content"]
            if message["parent_header"].get("msg_id") != number:
                continue
            if message["msg_type"] == "stream":
                printed += content["text"]
            elif message["msg_type"] == "error":
                raise RuntimeError(f"{self.name}: {content['ename']}: {content['evalue']}")
            elif message["msg_type"] == "status" and content["execution_state"] == "idle":
                return printed

    async def messages(self):
        """Yield what the kernel sends, and raise where it is silent for five minutes."""
        while True:
            text = await asyncio.wait_for(self.socket.read_message(), 300)
            if text is None:
                raise RuntimeError(f"{self.name}: the kernel's connection closed")
            yield json.loads(text)

    async def lose_kernel(self) -> None:
        """Kill the kernel in the middle of its work and wait until the server has started another."""
        await self.send(DIE)
        async for message in self.messages():
            if message["content"].get("execution_state") in ("restarting", "autorestarting"):
                break
        while True:  # what is sent while the new kernel is coming up may be lost
            await asyncio.sleep(2)
            try:
                return await asyncio.wait_for(self.run("assert 'textgen' not in globals()"), 10)
            except TimeoutError:
                continue


class Room:
    """The hub with its learners, in a folder of its own."""

    def __init__(self, folder: Path, count: int):
        self.folder, self.peaks, self.hub_peak = folder, {}, 0
        self.learners = [Learner(name, home) for name, home in people(folder, count)]
        config = str(HERE / "jupyterhub_config.py")
        names = {one.name for one in self.learners}
        (folder / "config.py").write_text(CONFIG.format(config=config, password=PASSWORD, names=names))

    async def open(self) -> None:
        """Start the hub and wait until it answers."""
        command = [sys.executable, "-m", "jupyterhub", "--config", str(self.folder / "config.py")]
        environment = os.environ | {"STATE_DIRECTORY": str(self.folder / "state")}
        environment.pop("BIND_URL", None)
        with (self.folder / "hub.log").open("a") as log:
            self.hub = await asyncio.create_subprocess_exec(
                *command, cwd=self.folder, env=environment, stdout=log, stderr=log
            )
        for _ in range(240):
            if await status("/hub/api/") == 200:
                return
            assert self.hub.returncode is None, "the hub ended"
            await asyncio.sleep(0.5)
        raise TimeoutError("the hub did not answer within two minutes")

    async def kill(self) -> None:
        """End the hub without a chance to put anything in order."""
        self.hub.kill()
        await self.hub.wait()

    async def watch(self) -> None:
        """Keep the most memory that the processes of each learner, and the hub's, took at one time, in MB."""
        while True:
            now = {}
            for process in psutil.process_iter():
                try:  # shared pages count once, split among those who share them
                    user, size = process.uids().real, process.memory_full_info().pss / 1e6
                    now[user] = now.get(user, 0) + size * (process.pid != os.getpid())
                except psutil.Error:
                    continue
            for user, size in now.items():
                self.peaks[user] = max(size, self.peaks.get(user, 0))
            await asyncio.sleep(2)


def people(folder: Path, count: int) -> list[tuple[str, Path]]:
    """Return name and home of the test's learners."""
    return [(f"learner-{i:02}", folder / f"h/{i:02}") for i in range(1, count + 1)]


async def status(path: str, learner: Learner | None = None) -> int:
    """Return the status of the answer to a request, without login where no learner is given."""
    try:
        await (learner or Learner("", Path())).ask("GET", path)
        return 200
    except HTTPClientError as error:
        return error.code
    except OSError:  # nobody answers
        return 0


async def lesson(learner: Learner, cells: int, together: asyncio.Barrier) -> tuple[float, float]:
    """Start, run the first cells of chapter 01, sample and chat; return the seconds of the start and of all."""
    begin = time.perf_counter()
    await learner.log_in()
    started = await learner.start()
    page = await learner.ask("GET", f"/user/{learner.name}/api/contents/{PAGE}")
    code = [cell["source"] for cell in page["content"]["cells"] if cell["cell_type"] == "code"]
    for source in code[:cells]:
        await learner.run(source)
    await together.wait()
    if learner.name == "learner-01":  # while all others are at work
        await learner.lose_kernel()
    assert (await learner.run(SAMPLE)).startswith("Once there was")
    assert "Ada" in await learner.run(CHAT)
    await learner.run(KEPT.format(name=learner.name))
    return started, time.perf_counter() - begin


async def attack(room: Room) -> None:
    """Try what must not be possible."""
    for learner, other in zip(room.learners, room.learners[1:] + room.learners[:1], strict=True):
        note = other.home / "text-generation/note.txt"
        sockets = other.home / ".run"
        paths = [str(path) for path in (other.home, note, sockets, room.folder / "state")]
        assert await learner.run(PRY.format(paths=paths)) == "refused\n" * len(paths)
        assert await learner.run(GREEDY) == "refused\n"
        assert await status(f"/user/{other.name}/api/contents/note.txt", learner) in (403, 404)
        assert await status(f"/user/{learner.name}/api/contents/note.txt", learner) == 200
        for path in ("api/contents/note.txt", "api/kernels", "lab", "files/note.txt"):
            assert await status(f"/user/{learner.name}/{path}") in (302, 403), path
    for path in ("/hub/home", "/hub/admin", "/hub/spawn", "/hub/api/users"):
        assert await status(path) in (302, 403), path


async def come_back(learner: Learner) -> None:
    """After the hub was killed: the files are there, and so is what the kernel holds in memory."""
    note = await learner.ask("GET", f"/user/{learner.name}/api/contents/note.txt")
    assert note["content"] == learner.name
    await learner.connect()
    assert await learner.run("print(kept)") == "in memory\n"


async def try_room(folder: Path, count: int, cells: int) -> dict:
    """Let the learners in, and return what was measured."""
    AsyncHTTPClient.configure(None, max_clients=200)
    room = Room(folder, count)
    await room.open()
    watching, together = asyncio.create_task(room.watch()), asyncio.Barrier(count)
    times = await asyncio.gather(*(lesson(learner, cells, together) for learner in room.learners))
    await attack(room)
    await room.kill()
    begin = time.perf_counter()
    await room.open()
    await asyncio.gather(*map(come_back, room.learners))
    back = time.perf_counter() - begin
    watching.cancel()
    starts, lessons = zip(*times, strict=True)
    memory = [peak for user, peak in room.peaks.items() if user >= FIRST_UID]
    return {
        "learners": count,
        "processors": psutil.cpu_count(),
        "cells of chapter 01": cells,
        "start, seconds": {"median": round(statistics.median(starts), 1), "slowest": round(max(starts), 1)},
        "lesson, seconds": {
            "median": round(statistics.median(lessons), 1),
            "slowest": round(max(lessons), 1),
        },
        "memory a learner, MB": {"median": round(statistics.median(memory)), "largest": round(max(memory))},
        "memory of the hub, MB": round(room.peaks[0]),
        "back after the hub was killed, seconds": round(back, 1),
        "command": f"python workshop/load_test.py --learners {count} --cells {cells}",
    }


def lay_out(folder: Path, count: int) -> None:
    """Make the learners' homes, and the lists of users that name them."""
    folder.chmod(0o711)
    (folder / "state").mkdir(mode=0o700)
    passwd, group = (Path("/etc", name).read_text() for name in ("passwd", "group"))
    for number, (name, home) in enumerate(people(folder, count), FIRST_UID):
        home.mkdir(parents=True)
        os.chown(home, number, number)
        passwd += f"{name}:x:{number}:{number}::{home}:/bin/sh\n"
        group += f"{name}:x:{number}:\n"
    (folder / "passwd").write_text(passwd)
    (folder / "group").write_text(group)


def fault() -> str | None:
    """Return one sentence where no learner could run what they are to run."""
    if os.geteuid():
        return (
            "A room's learners are system users: run this as root, as in sudo python workshop/load_test.py."
        )
    if not (HERE / "node_modules").exists():
        return "The hub's proxy is missing: npm ci --ignore-scripts --prefix workshop"
    code, who = (
        f"import jupyterhub; open({str(HERE.parent / 'book/index.md')!r})",
        {"cwd": "/", "extra_groups": []},
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        user=FIRST_UID,
        group=FIRST_UID,
        stderr=subprocess.PIPE,
        check=False,
        **who,
    )
    if done.returncode:
        last = done.stderr.decode().strip().splitlines()[-1]
        return f"A learner cannot use {sys.executable} and {HERE.parent} ({last}): everybody must be able to read them."
    return None


def raise_loopback() -> None:
    """Bring up the loopback of this namespace."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))


def main() -> int | str:
    """Try the room and write what was measured; return one sentence where it did not hold."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--learners", type=int, default=12)
    parser.add_argument("--cells", type=int, default=12, help="how many cells of chapter 01 each runs")
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        raise_loopback()
        measured = asyncio.run(try_room(options.inside, options.learners, options.cells))
        options.results.write_text(json.dumps(measured, indent=1) + "\n")
        print(json.dumps(measured, indent=1))
        return 0
    if os.geteuid():
        return (
            "A room's learners are system users: run this as root, as in sudo python workshop/load_test.py."
        )
    folder = Path(tempfile.mkdtemp(prefix="room"))
    try:
        lay_out(folder, options.learners)
        spaces = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        again = [sys.executable, __file__, *sys.argv[1:], "--inside", str(folder)]
        done = subprocess.run(["unshare", *spaces, "sh", "-c", INSIDE, "sh", folder, *again], check=False)
        if done.returncode:
            log = (folder / "hub.log").read_text() if (folder / "hub.log").exists() else ""
            return "The room did not hold. The hub said:\n" + re.sub(r"token=\w+", "token=...", log[-4000:])
        return 0
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
