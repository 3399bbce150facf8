"""A gateway in front of a real application, and somebody with a browser."""

import html.parser
import http.client
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.parse

HERE = pathlib.Path(__file__).parent
PASSWORD = "correct horse battery staple"
DEADLINE = 30



def spellings(name):
    """The name of a header as it stands, and as others write it who mean the same."""
    return [name, name.lower(), name.upper(), name.replace("-", "_"), name.replace("-", "_").lower()]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Program:
    """A process that listens on a port, with its output kept for when something goes wrong."""

    def __init__(self, arguments, port=None, **options):
        self.lines = []
        self.process = subprocess.Popen(
            [str(argument) for argument in arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            **options,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        try:
            if port is not None:
                self.wait_for(lambda: listens(port))
        except BaseException:
            self.stop()
            raise

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def wait_for(self, condition):
        end = time.monotonic() + DEADLINE
        while not (result := condition()):
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"{self.process.args} did not start:\n" + "\n".join(self.lines))
            time.sleep(0.02)
        return result

    def stop(self):
        """Ends the process and everything that it started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                pass
            try:
                self.process.wait(timeout=10)
                break
            except subprocess.TimeoutExpired:
                continue
        self.reader.join(timeout=10)
        self.process.stdout.close()


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


class Gate:
    """A running gateway with the configuration in `file`, which is that of the handbook: only
    addresses are replaced, and what makes tests quick is added."""

    def __init__(self, directory, file, upstream_port):
        self.directory = directory
        text = file.read_text()
        assert text.count("127.0.0.1:3000") == 1, f"{file} has to name the application once"
        text = text.replace("127.0.0.1:3000", f"127.0.0.1:{upstream_port}")
        text += '\n[server]\nlisten = "127.0.0.1:0"\n'
        text += '\n[log]\naccess = "off"\n'
        text += '\n[passwords]\nmemory = "8KiB"\niterations = 1\n'
        (directory / "vestibule.toml").write_text(text)
        self.program = None

    def run(self, *arguments, **options):
        """Runs a command; it must succeed."""
        done = subprocess.run(
            [os.environ["VESTIBULE"], *arguments],
            cwd=self.directory,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=DEADLINE,
            **options,
        )
        assert done.returncode == 0, f"vestibule {arguments}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def create_user(self, name, *arguments):
        self.run("user", "create", name, "--password-stdin", *arguments, input=PASSWORD + "\n")

    def start(self):
        self.program = Program([os.environ["VESTIBULE"], "serve"], cwd=self.directory)
        try:
            self.port = self.program.wait_for(self._announced)
        except BaseException:
            self.program.stop()
            raise

    def _announced(self):
        log = "\n".join(self.program.lines)
        listening = re.search(r"listening on http://127\.0\.0\.1:(\d+)", log)
        return int(listening[1]) if listening and "ready" in log else None

    def visitor(self):
        """Somebody who has not logged in."""
        return Browser(self.port)

    def sign_in(self, name):
        """Somebody who has."""
        browser = self.visitor()
        browser.log_in(name)
        return browser

    def stop(self):
        if self.program is not None:
            self.program.stop()


class Answer:
    def __init__(self, response, body):
        self.status = response.status
        self.headers = response.headers
        self.body = body

    @property
    def text(self):
        return self.body.decode()

    def __repr__(self):
        return f"{self.status} {dict(self.headers)} {self.body[:2000]!r}"


class Browser:
    """Keeps cookies by name and path, and fills in forms."""

    def __init__(self, port):
        self.port = port
        self.cookies = {}

    def request(self, method, target, headers=(), body=None, navigation=True):
        """Sends one request. `headers` are pairs, so that a name can come twice."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            pairs = list(headers)
            if navigation:
                pairs.append(("Accept", "text/html,*/*;q=0.8"))
            if cookies := self.cookie_line(target):
                pairs.append(("Cookie", cookies))
            is_chunked = body is not None and not isinstance(body, bytes)
            if is_chunked:
                pairs.append(("Transfer-Encoding", "chunked"))
            elif body is not None:
                pairs.append(("Content-Length", str(len(body))))
            for name, value in pairs:
                connection.putheader(name, value)
            connection.endheaders(body, encode_chunked=is_chunked)
            response = connection.getresponse()
            answer = Answer(response, response.read())
        finally:
            connection.close()
        for line in answer.headers.get_all("Set-Cookie", []):
            self.keep(line, target)
        return answer

    def get(self, target, headers=(), **options):
        return self.request("GET", target, headers, **options)

    def post(self, target, fields, headers=()):
        """Sends a form, as a browser does: with the origin of the page it stood on."""
        headers = [
            *headers,
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Origin", f"http://127.0.0.1:{self.port}"),
        ]
        return self.request("POST", target, headers, urllib.parse.urlencode(fields).encode())

    def submit(self, page, target, fields):
        """Fills in the form on `page`, keeping the values that stand in it, and sends it."""
        return self.post(target, inputs(page) | fields)

    def log_in(self, name, target="/"):
        """Goes to `target`, is sent to the login page, logs in and is sent back."""
        answer = self.get(target)
        assert answer.status in (302, 303), answer
        login = answer.headers["Location"]
        page = self.get(login)
        assert page.status == 200, page
        answer = self.submit(page.text, login, {"username": name, "password": PASSWORD})
        assert answer.status in (302, 303) and answer.headers["Location"] == target, answer
        assert re.fullmatch("[a-z0-9]{32}", self.cookie("sessionid") or ""), self.cookies

    def log_out(self):
        page = self.get("/accounts/logout/")
        answer = self.submit(page.text, "/accounts/logout/", {})
        assert answer.status in (200, 302, 303), answer

    def keep(self, line, target):
        pair, *attributes = [part.strip() for part in line.split(";")]
        name, _, value = pair.partition("=")
        attributes = {key.lower(): text for key, _, text in (a.partition("=") for a in attributes)}
        path = attributes.get("path") or urllib.parse.urlsplit(target).path.rsplit("/", 1)[0] or "/"
        if attributes.get("max-age") == "0" or "1970" in attributes.get("expires", ""):
            self.cookies.pop((name, path), None)
        else:
            self.cookies[name, path] = value.strip('"') if name == "sessionid" else value

    def cookie(self, name):
        return next((value for (known, _), value in self.cookies.items() if known == name), None)

    def cookie_line(self, target):
        path = urllib.parse.urlsplit(target).path
        fitting = [
            (name, at, value)
            for (name, at), value in self.cookies.items()
            if path == at or path.startswith(at if at.endswith("/") else at + "/")
        ]
        fitting.sort(key=lambda cookie: -len(cookie[1]))
        return "; ".join(f"{name}={value}" for name, _, value in fitting)


class Inputs(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.values = {}

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        name = attributes.get("name")
        is_button = attributes.get("type") in ("submit", "button", "image")
        if tag == "input" and name and not is_button:
            self.values.setdefault(name, attributes.get("value") or "")


def inputs(page):
    """The names and values of the inputs on a page."""
    parser = Inputs()
    parser.feed(page)
    return parser.values


class ApplicationTest(unittest.TestCase):
    """A gateway and the application named `application`, started once for all tests of a class."""

    application = None

    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="vestibule-"))
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.upstream_port = free_port()
        upstream = cls.start_application()
        cls.addClassCleanup(upstream.stop)
        cls.gate = Gate(cls.directory, HERE / cls.application / "vestibule.toml", cls.upstream_port)
        cls.gate.run("check")
        cls.create_users()
        cls.gate.start()
        cls.addClassCleanup(cls.gate.stop)

    @classmethod
    def start_application(cls):
        raise NotImplementedError

    @classmethod
    def create_users(cls):
        cls.gate.create_user("ada", "--first-name", "Ada", "--last-name", "Lövelace")
        cls.gate.create_user("bob")

    def assert_sent_to_log_in(self, target):
        """An anonymous navigation to `target` ends at the login form, with the way back."""
        answer = self.gate.visitor().get(target)
        self.assertIn(answer.status, (302, 303))
        expected = "/accounts/login/?" + urllib.parse.urlencode({"next": target}, safe="/")
        self.assertEqual(answer.headers["Location"], expected)
        self.assertEqual(answer.body.count(b"csrfmiddlewaretoken"), 0)

    def assert_refused_as_anonymous(self, answer):
        """A program is told in JSON where one logs in."""
        self.assertEqual(answer.status, 401, answer)
        self.assertIn(b'"login_url"', answer.body)
