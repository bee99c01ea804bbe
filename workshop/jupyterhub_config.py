"""A room on one server: one JupyterHub, one system user a learner. README.md beside this file says how to begin.

A learner logs in with the password of a system user and gets a Jupyter server that runs as that user. So the kernel of
Linux keeps learners out of one another's files, and nothing but Python, Node.js and root's rights are needed: the same
configuration runs on a server, in a container, and under the load test.
"""

import os
import pwd
import resource
import subprocess
import sys
from pathlib import Path

from jupyterhub.spawner import LocalProcessSpawner

c = get_config()  # noqa: F821  (JupyterHub gives it to this file)

HERE = Path(__file__).resolve().parent
BOOK = HERE.parent / "book"  # the package and the notebooks, which every learner must be able to read
NOTEBOOKS = Path(os.environ.get("NOTEBOOKS", BOOK))  # or what `make student` wrote: no solutions in it
STATE = Path(os.environ.get("STATE_DIRECTORY", HERE / "state"))  # the hub's own; systemd sets the variable
STATE.mkdir(mode=0o700, exist_ok=True)
PROCESSES = 300  # of one learner, each thread counts; a server with two notebooks has 35

# Copies what is not there yet, so that nothing of a learner's is ever written over.
COPY = 'mkdir -p "$0" && for one; do test -e "$0/${one##*/}" || cp "$one" "$0"; done'


class RoomSpawner(LocalProcessSpawner):
    """A server as a process of the learner's own system user, with limits that its kernels inherit."""

    def make_preexec_fn(self, name):
        """Return what the new process does before it becomes the server, still as root."""
        become, memory = super().make_preexec_fn(name), self.mem_limit

        def prepare():
            resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))  # then Python says MemoryError
            resource.setrlimit(resource.RLIMIT_NPROC, (PROCESSES, PROCESSES))
            os.umask(0o077)  # what a learner writes, /tmp included, is the learner's alone
            become()

        return prepare


def hand_out(spawner):
    """Close the learner's home to all others, and lay the notebooks into it, as that learner."""
    learner = pwd.getpwnam(spawner.user.name)
    os.chmod(learner.pw_dir, 0o700)
    command = ["sh", "-c", COPY, f"{learner.pw_dir}/text-generation", *sorted(NOTEBOOKS.glob("*.ipynb"))]
    who = {"user": learner.pw_uid, "group": learner.pw_gid, "extra_groups": [], "umask": 0o077}
    subprocess.run(command, check=True, cwd=learner.pw_dir, **who)


# Who may come in: nobody without a password. Instructors also start and stop servers; they are trusted.
c.JupyterHub.authenticator_class = "pam"
c.PAMAuthenticator.allowed_groups = {"learners", "instructors"}
c.PAMAuthenticator.admin_groups = {"instructors"}

# Where. Passwords go over this line: on a network only with a certificate, as in BIND_URL=https://:443.
c.JupyterHub.bind_url = os.environ.get("BIND_URL", "http://127.0.0.1:8000")
c.JupyterHub.ssl_cert = os.environ.get("CERTIFICATE", "")
c.JupyterHub.ssl_key = os.environ.get("CERTIFICATE_KEY", "")
c.ConfigurableHTTPProxy.command = [str(HERE / "node_modules/.bin/configurable-http-proxy")]

# What a learner gets.
c.JupyterHub.spawner_class = RoomSpawner
c.Spawner.cmd = [sys.executable, "-m", "jupyterhub.singleuser"]
# The kernels' messages go through sockets that files guard, where TCP would let every user of this server listen.
c.Spawner.args = ["--KernelManager.transport=ipc"]
c.Spawner.notebook_dir = "~/text-generation"
c.Spawner.pre_spawn_hook = hand_out
c.Spawner.environment = {
    "PYTHONPATH": str(BOOK),
    "OMP_NUM_THREADS": "1",  # threads of two learners would wait for each other's processors
    "JUPYTER_RUNTIME_DIR": lambda spawner: (
        f"{pwd.getpwnam(spawner.user.name).pw_dir}/.run"
    ),  # short, as sockets ask
}
c.Spawner.mem_limit = os.environ.get("MEMORY", "2G")  # of each process: the server, and each kernel
c.JupyterHub.active_server_limit = int(os.environ.get("LEARNERS", "40"))
c.JupyterHub.concurrent_spawn_limit = 12  # a room that comes in at once: the others wait a little
c.Spawner.start_timeout = c.Spawner.http_timeout = 180

# What is left alone for an hour is stopped; the files stay.
c.JupyterHub.load_roles = [
    {
        "name": "idle-culler",
        "services": ["idle-culler"],
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
    }
]
c.JupyterHub.services = [
    {"name": "idle-culler", "command": [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=3600"]}
]

# A hub that stops leaves the learners' servers running, and finds them again when it starts.
c.JupyterHub.cleanup_servers = False
c.JupyterHub.db_url = f"sqlite:///{STATE}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = str(STATE / "cookie_secret")
c.ConfigurableHTTPProxy.pid_file = str(STATE / "proxy.pid")
