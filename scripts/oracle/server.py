"""A `weir all` in its own folder, which the oracle starts, queries and stops."""

import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import time

from events import encode

BINARY = os.path.join(os.path.dirname(__file__), "..", "..", "bin", "weir")
TIMEOUT = 120  # seconds for the process to be ready, or to be gone
REAL_DATA = os.environ.get("WEIR_E2E_DATA") or os.path.join(os.path.dirname(__file__), "..", "..", "..", "shared", "data")


class Failed(Exception):
    """A step failed that must succeed."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A Weir process, and requests to it as clients send them."""

    def __init__(self, folder, settings=()):
        self.folder, self.settings = folder, list(settings)
        self.data = os.path.join(folder, "data")
        self.log = os.path.join(folder, "weir.log")
        self.port, self.admin_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process, self.cookie, self.connection = None, None, None
        self.keys = {}  # product -> (key, secret)
        self.demo = None

    # the process

    def start(self):
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                [BINARY, "all", "--data", self.data, "--listen", f"127.0.0.1:{self.port}",
                 "--admin.listen", f"127.0.0.1:{self.admin_port}", *self.settings],
                stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + TIMEOUT
        while not self.ready():
            if self.process.poll() is not None:
                raise Failed(f"weir all exited with {self.process.returncode}: {self.tail()}")
            if time.monotonic() > deadline:
                raise Failed(f"weir all is not ready after {TIMEOUT} s: {self.tail()}")
            time.sleep(0.1)
        with open(os.path.join(self.data, "demo.json"), encoding="utf-8") as f:
            self.demo = json.load(f)
        self.keys[int(self.demo["product_id"])] = self.demo["key"], self.demo["secret"]
        self.connection = None
        self.log_in()

    def ready(self):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False

    def stop(self):
        """Sends SIGTERM; Weir must drain and exit with 0."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed(f"weir all still ran {TIMEOUT} s after SIGTERM: {self.tail()}") from None
        if code != 0:
            raise Failed(f"weir all exited with {code} after SIGTERM: {self.tail()}")

    def kill(self):
        """Kills the process if it still runs."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def tail(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()[-3000:]

    def weir(self, *args, secret=None):
        """Runs a subcommand and returns its standard output."""
        env = dict(os.environ, WEIR_SECRET=secret) if secret else None
        done = subprocess.run([BINARY, *args], capture_output=True, text=True, env=env, check=False)
        if done.returncode != 0:
            raise Failed(f"weir {' '.join(args)}: exit {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def admin(self, *args):
        return json.loads(self.weir("admin", *args, "--data", self.data, "--json"))

    def product(self, number, name):
        """Creates a product of the demo account and a data source for it."""
        self.admin("product", "create", "--account", self.demo["account_id"], "--id", str(number), "--name", name)
        made = self.admin("source", "create", "--product", str(number), "--name", name)
        self.keys[number] = made["key"], made["secret"]

    # HTTP

    def request(self, method, path, body=None, headers=()):
        """Returns (status, headers, text); keeps the connection open."""
        for attempt in (1, 2):
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            try:
                self.connection.request(method, path, None if body is None else body.encode(), dict(headers))
                answer = self.connection.getresponse()
                return answer.status, answer.headers, answer.read().decode()
            except (ConnectionError, http.client.HTTPException):
                self.connection = None
                if attempt == 2 or self.process.poll() is not None:
                    raise Failed(f"{method} {path}: the connection broke: {self.tail()}") from None
        raise AssertionError

    def log_in(self):
        status, _, text = (answer := self.request(
            "POST", "/v3/auth/web", json.dumps({"userName": self.demo["email"], "password": self.demo["password"]}),
            {"Content-Type": "application/json", "Cookie": "RUI-Csrf=oracle"}))
        if status != 200:
            raise Failed(f"log in: {status} {text}")
        cookies = [c.partition(";")[0] for c in answer[1].get_all("Set-Cookie")]
        self.cookie = "; ".join(cookies)

    def ask(self, path, body, method="POST", token=None):
        """Sends one request with the session's cookie, or with a token."""
        credentials = {"Authorization": "Bearer " + token} if token else {"Cookie": self.cookie}
        return self.request(method, path, json.dumps(body, ensure_ascii=False), {"Content-Type": "application/json", **credentials})

    def committed(self):
        """Number of events that are in the lake or known as duplicates since the process started."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=10)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        return sum(int(float(line.rpartition(" ")[2])) for line in lines
                   if line.startswith("weir_processor_records_total") and ('"stored"' in line or '"duplicate"' in line))

    # events

    def send(self, product, lines):
        """Sends lines, at most 1000 in each request."""
        key, secret = self.keys[product]
        basic = base64.b64encode(f"{key}:{secret}".encode()).decode()
        for at in range(0, len(lines), 1000):
            body = '{"data":[' + ",".join(lines[at:at + 1000]) + "]}"
            status, _, text = self.request("POST", "/v1/event/report", body, {"Content-Type": "application/json", "Authorization": "Basic " + basic})
            if status != 200:
                raise Failed(f"send events: {status} {text}")

    def send_changes(self, product, changes):
        """Sends changes of properties and contacts."""
        key, secret = self.keys[product]
        basic = base64.b64encode(f"{key}:{secret}".encode()).decode()
        for euid, kind, operation, values in changes:
            body = {"euid": euid, "type": operation, "properties": values} if kind == "property" else {"euid": euid, "contacts": values}
            status, _, text = self.request("POST", f"/v1/user/{kind}", encode(body), {"Content-Type": "application/json", "Authorization": "Basic " + basic})
            if status != 200:
                raise Failed(f"{kind} of a client: {status} {text}: {body}")

    def importing(self, product, file, rate=None):
        """Starts `weir import` as another process."""
        key, secret = self.keys[product]
        args = [BINARY, "import", "--url", self.url, "--key", key] + (["--rate", str(rate)] if rate else []) + [file]
        return subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=dict(os.environ, WEIR_SECRET=secret))

    def compact(self):
        return self.weir("admin", "compact", "--data", self.data).strip()

    def flags(self, product, changes):
        """Sets the tracking flags of events; changes are (category, name, basic, advanced)."""
        body = {"eventUpdates": [{"category": c, "eventName": n, "basic": b, "advanced": a} for c, n, b, a in changes]}
        status, _, text = self.ask(f"/v3/event-tracking/{product}", body, method="PATCH")
        if status != 200:
            raise Failed(f"set event flags: {status} {text}")
