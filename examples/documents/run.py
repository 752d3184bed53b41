"""Start the example: Latchstring and the app, with two people and a document. `make example` runs this."""

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
PEOPLE = (("mira@documents.example", "Mira", "Okafor", "author"), ("sam@documents.example", "Sam", "Reyes", "reader"))
TIDES = {
    "key": "tide-tables",
    "title": "Tide tables",
    "data": {"text": "Monday\n  high 04:12 and 16:38\n  low 10:25 and 22:47\n\nTuesday\n  high 05:01 and 17:24"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8090, help="where the app listens (8090)")
    parser.add_argument("--latchstring-port", type=int, default=8080, help="where Latchstring listens (8080)")
    parser.add_argument("--folder", type=Path, default=Path("var/example"), help="where everything is kept")
    given = parser.parse_args()
    app_url, url = f"http://127.0.0.1:{given.port}", f"http://127.0.0.1:{given.latchstring_port}"
    given.folder.mkdir(parents=True, exist_ok=True)
    config = given.folder / "latchstring.toml"
    text = (HERE / "latchstring.toml").read_text(encoding="utf-8")
    config.write_text(text.replace("@documents@", app_url).replace("@latchstring@", url), encoding="utf-8")
    listening = socket.create_server(("127.0.0.1", given.port))  # taken: told at once, before anything is made
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit())  # an orderly end, which ends Latchstring, too
    log = given.folder / "latchstring.log"
    serve = [COMMAND, "--config", config, "serve", "--port", str(given.latchstring_port)]
    with log.open("wb") as said:
        server = subprocess.Popen(serve, stdout=said, stderr=said)
    try:
        wait_until_ready(server, log)
        password = ensure_samples(config, url)
        os.environ |= {"DOCUMENTS_URL": app_url, "LATCHSTRING_URL": url}
        sys.path.insert(0, str(HERE))
        # No access log: the address of the accept page has a token in it.
        app = uvicorn.Server(uvicorn.Config("backend:app", access_log=False, log_level="warning"))
        announce(app_url, url, password)
        app.run(sockets=[listening])
    finally:
        server.terminate()
        server.wait()


def wait_until_ready(server: subprocess.Popen[bytes], log: Path) -> None:
    """Until Latchstring says that it listens. Ends with its last words where it cannot."""
    while "listening on" not in (said := log.read_text(encoding="utf-8")):
        if server.poll() is not None:
            sys.exit(f"Latchstring did not start.\n{said[-1500:]}")
        time.sleep(0.1)


def ensure_samples(config: Path, url: str) -> str:
    """Make the people and the document that are not there yet. Returns everybody's password."""
    kept = config.with_name("password.txt")
    if not kept.exists():
        kept.touch(mode=0o600)
        kept.write_text(secrets.token_hex(6), encoding="utf-8")
    password = kept.read_text(encoding="utf-8")
    for email, first, last, role in PEOPLE:
        if not sign_in(url, email, password).is_success:
            person = ["--email", email, "--first-name", first, "--last-name", last, "--role", role, "--password-stdin"]
            make = [str(COMMAND), "--config", str(config), "user", "create", *person]
            subprocess.run(make, input=password, text=True, check=True, stdout=subprocess.DEVNULL)
    token = sign_in(url, PEOPLE[0][0], password).raise_for_status().json()["accessToken"]
    made = httpx2.post(f"{url}/api/content/documents", json=TIDES, headers={"Authorization": f"Bearer {token}"})
    if made.json().get("code") != "content-key-taken":
        made.raise_for_status()
    return password


def sign_in(url: str, email: str, password: str) -> httpx2.Response:
    return httpx2.post(f"{url}/api/auth/login", json={"email": email, "password": password})


def announce(app_url: str, url: str, password: str) -> None:
    lines = (
        f"The app listens on {app_url}",
        f"  sign in as  {PEOPLE[0][0]}  who owns a document and invites others to it",
        f"  or as       {PEOPLE[1][0]}   who has none yet",
        f"  password    {password}",
        f"Latchstring listens on {url}",
        f"  {url}/dev/mail   the mailbox: follow the links of your invitations here",
        f"  {url}/docs       the API",
        "A walk through all of it: docs/tutorial.md. Ctrl+C ends both.",
    )
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
