"""Start the example: Latchstring and the app, with two users and a document. `make example` runs this."""

import argparse
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import uvicorn

HERE = Path(__file__).parent
COMMAND = Path(sys.executable).with_name("latchstring")
USERS = (("mira@documents.example", "Mira", "Okafor", "author"), ("sam@documents.example", "Sam", "Reyes", "reader"))
DOCUMENT = {
    "key": "tide-tables",
    "title": "Tide tables",
    "data": {"text": "Monday\n  high 04:12 and 16:38\n  low 10:25 and 22:47\n\nTuesday\n  high 05:01 and 17:24"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8090, help="port of the app (8090)")
    parser.add_argument("--latchstring-port", type=int, default=8080, help="port of Latchstring (8080)")
    parser.add_argument("--folder", type=Path, default=Path("var/example"), help="folder for all data")
    arguments = parser.parse_args()
    app_url, url = f"http://127.0.0.1:{arguments.port}", f"http://127.0.0.1:{arguments.latchstring_port}"
    arguments.folder.mkdir(parents=True, exist_ok=True)
    config = arguments.folder / "latchstring.toml"
    template = (HERE / "latchstring.toml").read_text(encoding="utf-8")
    config.write_text(template.replace("@documents@", app_url).replace("@latchstring@", url), encoding="utf-8")
    server_socket = socket.create_server(
        ("127.0.0.1", arguments.port)
    )  # fails before anything is created if the port is in use
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit())  # runs `finally`, which ends Latchstring
    log = arguments.folder / "latchstring.log"
    serve = [COMMAND, "--config", config, "serve", "--port", str(arguments.latchstring_port)]
    with log.open("wb") as output:
        server = subprocess.Popen(serve, stdout=output, stderr=output)
    try:
        wait_until_ready(server, log)
        password = ensure_samples(config, url)
        os.environ |= {"DOCUMENTS_URL": app_url, "LATCHSTRING_URL": url}
        sys.path.insert(0, str(HERE))
        # No access log: the URL of the accept page contains a token.
        app = uvicorn.Server(uvicorn.Config("backend:app", access_log=False, log_level="warning"))
        announce(app_url, url, password)
        app.run(sockets=[server_socket])
    finally:
        server.terminate()
        server.wait()


def wait_until_ready(server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until Latchstring listens. Exits with the end of its log if it fails to start."""
    while "listening on" not in (output := log.read_text(encoding="utf-8")):
        if server.poll() is not None:
            sys.exit(f"Latchstring did not start.\n{output[-1500:]}")
        time.sleep(0.1)


def ensure_samples(config: Path, url: str) -> str:
    """Create the users and the document that do not exist yet. Returns the password of all users."""
    password_file = config.with_name("password.txt")
    if not password_file.exists():
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_hex(6), encoding="utf-8")
    password = password_file.read_text(encoding="utf-8")
    for email, first, last, role in USERS:
        if not sign_in(url, email, password).is_success:
            options = ["--email", email, "--first-name", first, "--last-name", last, "--role", role, "--password-stdin"]
            command = [str(COMMAND), "--config", str(config), "user", "create", *options]
            subprocess.run(command, input=password, text=True, check=True, stdout=subprocess.DEVNULL)
    token = sign_in(url, USERS[0][0], password).raise_for_status().json()["accessToken"]
    response = httpx2.post(f"{url}/api/content/documents", json=DOCUMENT, headers={"Authorization": f"Bearer {token}"})
    if response.json().get("code") != "content-key-taken":
        response.raise_for_status()
    return password


def sign_in(url: str, email: str, password: str) -> httpx2.Response:
    return httpx2.post(f"{url}/api/auth/login", json={"email": email, "password": password})


def announce(app_url: str, url: str, password: str) -> None:
    lines = (
        f"The app listens on {app_url}",
        f"  sign in as  {USERS[0][0]}  who owns a document and may invite others",
        f"  or as       {USERS[1][0]}   who has no document yet",
        f"  password    {password}",
        f"Latchstring listens on {url}",
        f"  {url}/dev/mail   the mailbox with the links of your invitations",
        f"  {url}/docs       the API",
        "See docs/tutorial.md. Ctrl+C ends both.",
    )
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
