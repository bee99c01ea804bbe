"""Show the built book on this machine: `make serve`, or `make serve PORT=8001`."""

import errno
import functools
import os
import sys
from contextlib import suppress
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# What the pages may do: use files of their own address and nothing from anywhere else. Scripts and styles also stand in
# the pages themselves, as the theme and bertviz write them; pictures and sounds stand there as data.
POLICY = """
default-src 'none';
script-src 'self' 'unsafe-inline';
style-src 'self' 'unsafe-inline';
img-src 'self' data:;
media-src data:;
font-src 'self';
connect-src 'self';
base-uri 'none';
form-action 'self';
frame-ancestors 'self'
""".strip().replace("\n", " ")
SITE = Path(__file__).resolve().parents[1] / "_build/html"


class Handler(SimpleHTTPRequestHandler):
    """Files of a folder, with the policy that the pages are tested under."""

    def end_headers(self) -> None:
        """Add the policy to the answer's headers."""
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()


def main(port: str) -> str | None:
    """Serve until Ctrl-C; return one sentence where that cannot be."""
    if not (SITE / "index.html").is_file():
        return "There is no book yet: run make book first."
    if not port.isdecimal() or not 0 < int(port) < 65536:
        return f"PORT must be a number from 1 to 65535, not {port!r}: make serve PORT=8001"
    handler = functools.partial(Handler, directory=str(SITE))
    try:
        server = ThreadingHTTPServer(("127.0.0.1", int(port)), handler)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return f"Port {port} is taken: make serve PORT={int(port) % 65535 + 1}"
        return f"Port {port} cannot be opened ({os.strerror(error.errno)}): make serve PORT=8001"
    with server, suppress(KeyboardInterrupt):
        print(f"http://localhost:{port} (Ctrl-C stops it)", flush=True)
        server.serve_forever()
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
