"""Mail through a real mail server: STARTTLS with a certificate of one's own, logging in, an
outage, and a refusal."""

import email
import email.policy
import json
import re
import shutil
import ssl
import subprocess
import tempfile
import time
import unittest
import pathlib

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from support import DEADLINE, Gate, free_port

USER, SECRET = "vestibule@example.org", "p@ss/word:4711"

CONFIGURATION = """
upstream = "http://127.0.0.1:3000"

[mail]
smtp = "{smtp}"
password_file = "mail-password"
ca_file = "mail.pem"
from = "The Polls <polls@example.org>"
"""

NEW_PASSWORD = "granite lantern 2038"


class Mailbox:
    """Takes letters, unless they are for somebody who is not here."""

    def __init__(self):
        self.letters = []
        self.logins = []

    def authenticate(self, server, session, envelope, mechanism, data):
        login = (data.login.decode(), data.password.decode())
        self.logins.append((mechanism, *login, session.ssl is not None))
        # The server itself says so to the client.
        return AuthResult(success=login == (USER, SECRET), handled=False)

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("bob@"):
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.letters.append((envelope.mail_from, envelope.rcpt_tos, message))
        return "250 taken"


def wait_for(condition, what):
    end = time.monotonic() + DEADLINE
    while not (result := condition()):
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.05)
    return result


class Mail(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="vestibule-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.port = free_port()
        self.make_authority("ca.key", "mail.pem")
        (self.directory / "names").write_text("subjectAltName = DNS:localhost\n")
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
                     "-keyout", "server.key", "-out", "server.csr")
        self.openssl("x509", "-req", "-in", "server.csr", "-CA", "mail.pem", "-CAkey", "ca.key",
                     "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "server.pem")
        (self.directory / "mail-password").write_text(SECRET + "\n")
        self.mailbox = Mailbox()

    def openssl(self, *arguments):
        subprocess.run(
            ["openssl", *arguments], cwd=self.directory, check=True, capture_output=True
        )

    def make_authority(self, key, certificate):
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                     "-subj", "/CN=An authority of our own", "-keyout", key, "-out", certificate)

    def gateway(self, smtp=None):
        file = self.directory / "handwritten.toml"
        smtp = smtp or f"smtp://vestibule%40example.org@localhost:{self.port}"
        file.write_text(CONFIGURATION.format(smtp=smtp))
        gate = Gate(self.directory, file, free_port())
        # The section that the tests' gateway adds has no room for another key.
        text = (self.directory / "vestibule.toml").read_text()
        text = text.replace("[server]\n", '[server]\npublic_url = "https://polls.example.org"\n')
        (self.directory / "vestibule.toml").write_text(text)
        gate.run("check")
        gate.create_user("ada", "--email", "ada@example.org")
        gate.create_user("bob", "--email", "bob@example.org")
        gate.start()
        self.addCleanup(gate.stop)
        return gate

    def server(self, **options):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.directory / "server.pem", self.directory / "server.key")
        settings = {
            "tls_context": context,
            "require_starttls": True,
            "auth_required": True,
            "authenticator": self.mailbox.authenticate,
        }
        server = Controller(
            self.mailbox, hostname="127.0.0.1", port=self.port, **(settings | options)
        )
        server.start()
        self.addCleanup(server.stop, no_assert=True)
        return server

    def forget(self, gate, address):
        browser = gate.visitor()
        page = browser.get("/accounts/password_reset/")
        answer = browser.submit(page.text, "/accounts/password_reset/", {"email": address})
        self.assertEqual(answer.headers["Location"], "/accounts/password_reset/done/", answer)

    def waiting(self, gate):
        return json.loads(gate.run("mail", "list", "--json"))

    def letter(self):
        wait_for(lambda: self.mailbox.letters, "a letter arrives")
        return self.mailbox.letters[0]

    def test_a_password_is_reset_by_a_letter_that_came_by_tls_and_login(self):
        self.server()
        gate = self.gateway()
        self.forget(gate, "ada@example.org")
        sender, recipients, message = self.letter()
        self.assertEqual((sender, recipients), ("polls@example.org", ["ada@example.org"]))
        self.assertEqual(str(message["From"]), "The Polls <polls@example.org>")
        self.assertEqual(message["Subject"], "Password reset on polls.example.org")
        self.assertEqual(message["Auto-Submitted"], "auto-generated")
        mechanism, *login, was_encrypted = self.mailbox.logins[0]
        self.assertEqual(login, [USER, SECRET])
        self.assertTrue(was_encrypted)

        link = re.search(r"https://polls\.example\.org(/\S+)", message.get_content())[1]
        browser = gate.visitor()
        moved = browser.get(link).headers["Location"]
        page = browser.get(moved)
        fields = {"new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
        done = browser.submit(page.text, moved, fields)
        self.assertEqual(done.headers["Location"], "/accounts/reset/done/", done)
        wait_for(lambda: len(self.mailbox.letters) == 2, "the notice arrives")
        self.assertEqual(
            self.mailbox.letters[1][2]["Subject"], "Your password on polls.example.org was changed"
        )
        login = browser.get("/accounts/login/")
        fields = {"username": "ada", "password": NEW_PASSWORD}
        self.assertEqual(browser.submit(login.text, "/accounts/login/", fields).status, 302)

    def test_a_letter_waits_for_a_server_that_is_down(self):
        gate = self.gateway()
        self.forget(gate, "ada@example.org")
        wait_for(lambda: [it for it in self.waiting(gate) if it["attempts"]], "it was tried")
        self.server()
        self.letter()
        wait_for(lambda: not self.waiting(gate), "nothing waits")

    def test_a_letter_that_is_refused_for_good_is_kept_with_the_reason(self):
        self.server()
        gate = self.gateway()
        self.forget(gate, "bob@example.org")
        failed = lambda: [it for it in self.waiting(gate) if it["place"] == "failed"]
        wait_for(failed, "it is given up")
        self.assertIn("no such mailbox", failed()[0]["trouble"])
        self.forget(gate, "ada@example.org")
        self.assertEqual(self.letter()[1], ["ada@example.org"])

    def test_a_server_without_tls_gets_nothing(self):
        self.server(tls_context=None, require_starttls=False, auth_required=False)
        gate = self.gateway()
        self.forget(gate, "ada@example.org")
        waiting = lambda: [it for it in self.waiting(gate) if it["attempts"]]
        wait_for(waiting, "it was tried")
        self.assertIn("STARTTLS", waiting()[0]["trouble"])
        self.assertEqual((self.mailbox.letters, self.mailbox.logins), ([], []))

    def test_a_server_with_another_certificate_gets_nothing(self):
        self.server()
        self.make_authority("other.key", "mail.pem")
        gate = self.gateway()
        self.forget(gate, "ada@example.org")
        waiting = lambda: [it for it in self.waiting(gate) if it["attempts"]]
        wait_for(waiting, "it was tried")
        self.assertIn("certificate", waiting()[0]["trouble"].lower())
        self.assertEqual((self.mailbox.letters, self.mailbox.logins), ([], []))

    def test_a_wrong_password_for_the_server_loses_no_letter(self):
        self.server()
        (self.directory / "mail-password").write_text("wrong\n")
        gate = self.gateway()
        self.forget(gate, "ada@example.org")
        wait_for(lambda: [it for it in self.waiting(gate) if it["attempts"]], "it was tried")
        (self.directory / "mail-password").write_text(SECRET + "\n")
        gate.run("reload")
        gate.run("mail", "retry")
        self.letter()


if __name__ == "__main__":
    unittest.main()
