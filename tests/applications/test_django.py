"""Django with `RemoteUserMiddleware`: its own sessions, messages and administration go on working."""

import json
import os
import secrets
import subprocess
import sys

from support import HERE, ApplicationTest, Browser, Program, spellings

PROJECT = HERE / "django"


class Django(ApplicationTest):
    application = "django"

    @classmethod
    def start_application(cls):
        environment = os.environ | {
            "POLLS_SITE_DATA": str(cls.directory),
            "POLLS_SITE_SECRET_KEY": secrets.token_urlsafe(40),
        }
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity=0"],
            cwd=PROJECT,
            env=environment,
            check=True,
        )
        return Program(
            [
                sys.executable,
                "-m",
                "waitress",
                f"--listen=127.0.0.1:{cls.upstream_port}",
                "--trusted-proxy=127.0.0.1",
                "--trusted-proxy-headers=x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-port",
                "polls_site.wsgi:application",
            ],
            port=cls.upstream_port,
            cwd=PROJECT,
            env=environment,
        )

    @classmethod
    def create_users(cls):
        super().create_users()
        cls.gate.run("group", "create", "Site editors")
        cls.gate.create_user("eve", "--group", "Site editors")

    def whoami(self, browser, target="/", headers=()):
        answer = browser.get(target, headers)
        self.assertEqual(answer.status, 200, answer)
        return json.loads(answer.body)

    def test_anonymous_visitors_are_sent_to_log_in(self):
        self.assert_sent_to_log_in("/")
        self.assert_sent_to_log_in("/admin/auth/user/?q=ada")
        self.assert_refused_as_anonymous(self.gate.visitor().get("/", navigation=False))

    def test_whoever_logs_in_is_known_to_django(self):
        seen = self.whoami(self.gate.sign_in("ada"))
        self.assertEqual(seen["user"], "ada")
        self.assertEqual(seen["name"], "Ada Lövelace")
        self.assertEqual(seen["groups"], [])
        self.assertEqual(self.whoami(self.gate.sign_in("eve"))["groups"], ["Site editors"])

    def test_a_public_page_greets_whoever_has_a_session(self):
        self.assertIsNone(self.whoami(self.gate.visitor(), "/public/")["user"])
        self.assertEqual(self.whoami(self.gate.sign_in("ada"), "/public/")["user"], "ada")

    def test_both_session_cookies_live_side_by_side(self):
        ada = self.gate.sign_in("ada")
        ours = ada.cookie("sessionid")
        visits = [self.whoami(ada)["visits"] for _ in range(3)]
        self.assertEqual(visits, [1, 2, 3])
        self.assertEqual(ada.cookie("sessionid"), ours)
        seen = self.whoami(ada)
        self.assertIn("sessionid", seen["cookies"])
        self.assertEqual([name for name in seen["cookies"] if "app" in name], [])
        self.assertNotIn(ours, [value for (name, _), value in ada.cookies.items() if name != "sessionid"])

    def test_messages_arrive_once(self):
        ada = self.gate.sign_in("ada")
        answer = ada.get("/vote/")
        self.assertEqual((answer.status, answer.headers["Location"]), (302, "/"))
        self.assertEqual(self.whoami(ada)["messages"], ["Your vote was counted, thank you."])
        self.assertEqual(self.whoami(ada)["messages"], [])

    def test_the_administration_takes_forms(self):
        eve = self.gate.sign_in("eve")
        page = eve.get("/admin/auth/group/add/")
        self.assertEqual(page.status, 200, page)
        # The gateway's own forms have a `csrftoken` as well, which must not disturb Django's.
        self.assertEqual(eve.get("/accounts/logout/").status, 200)
        answer = eve.submit(page.text, "/admin/auth/group/add/", {"name": "Night shift"})
        self.assertEqual(answer.status, 302, answer)
        page = eve.get(answer.headers["Location"])
        self.assertIn("was added successfully", page.text)
        self.assertIn("Night shift", page.text)

    def test_a_form_without_djangos_token_is_refused_by_django(self):
        eve = self.gate.sign_in("eve")
        answer = eve.post("/admin/auth/group/add/", {"name": "Forged"})
        self.assertEqual(answer.status, 403)
        self.assertNotIn("Forged", eve.get("/admin/auth/group/").text)

    def test_the_administration_is_for_editors(self):
        answer = self.gate.sign_in("ada").get("/admin/")
        self.assertEqual(answer.status, 403, answer)
        self.assertNotIn("django", answer.text.lower())

    def test_static_files_are_public(self):
        answer = self.gate.visitor().get("/static/admin/css/base.css")
        # waitress alone serves none; what matters is that Django answered and not the gateway.
        self.assertEqual(answer.status, 404)
        self.assertIn("Not Found", answer.text)

    def test_another_user_on_the_same_browser_starts_afresh(self):
        browser = self.gate.sign_in("ada")
        self.assertEqual(self.whoami(browser)["user"], "ada")
        browser.get("/vote/")
        browser.log_out()
        self.assertIsNone(self.whoami(browser, "/public/")["user"])
        browser.log_in("bob")
        seen = self.whoami(browser)
        self.assertEqual((seen["user"], seen["messages"]), ("bob", []))

    def test_django_sees_the_address_that_the_browser_used(self):
        ada = self.gate.sign_in("ada")
        self.assertEqual(self.whoami(ada)["url"], f"http://127.0.0.1:{self.gate.port}/")

    def test_nobody_becomes_a_user_by_a_header(self):
        bob = self.gate.sign_in("bob")
        for name in spellings("Remote-User"):
            for value in ("eve", "admin"):
                with self.subTest(name=name, value=value):
                    forged = [(name, value), ("Remote-Groups", "Site editors")]
                    stranger = self.gate.visitor()
                    self.assertIsNone(self.whoami(stranger, "/public/", forged)["user"])
                    self.assertIn(stranger.get("/", forged).status, (302, 303))
                    seen = self.whoami(bob, "/", forged)
                    self.assertEqual((seen["user"], seen["groups"]), ("bob", []))
                    self.assertEqual(bob.get("/admin/", forged).status, 403)

    def test_a_connection_header_cannot_remove_who_is_asking(self):
        bob = self.gate.sign_in("bob")
        seen = self.whoami(bob, "/", [("Connection", "close, Remote-User"), ("Remote-User", "eve")])
        self.assertEqual(seen["user"], "bob")

    def test_djangos_session_alone_is_worth_nothing(self):
        eve = self.gate.sign_in("eve")
        self.whoami(eve)
        thief = self.gate.visitor()
        thief.cookies = {key: value for key, value in eve.cookies.items() if key[0] != "sessionid"}
        self.assertTrue(thief.cookies)
        self.assertIn(thief.get("/").status, (302, 303))
        self.assertIsNone(self.whoami(thief, "/public/")["user"])

    def test_the_attack_is_real_without_the_gateway(self):
        direct = Browser(self.upstream_port)
        self.assertEqual(self.whoami(direct, "/", [("Remote-User", "mallory")])["user"], "mallory")
