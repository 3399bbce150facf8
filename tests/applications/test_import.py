"""Users of a real Django project and of real `htpasswd` files, who log in here afterwards with the
passwords they had."""

import json
import os
import secrets
import subprocess
import sys

from support import HERE, PASSWORD, ApplicationTest, Program

PROJECT = HERE / "django"

# What a project's administrator did over the years.
HISTORY = f"""
import datetime, django
django.setup()
from django.contrib.auth.models import Group, Permission, User
from django.contrib.auth.hashers import make_password
editors = Group.objects.create(name="Site editors")
add_group = Permission.objects.get(codename="add_group")
change_user = Permission.objects.get(codename="change_user")
editors.permissions.add(change_user)
ada = User.objects.create(
    username="ada", first_name="Ada", last_name="Lövelace", email="ada@example.org",
    is_staff=True, password=make_password({PASSWORD!r}, hasher="argon2"),
    last_login=datetime.datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=datetime.timezone.utc),
    date_joined=datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
)
ada.groups.add(editors)
ada.user_permissions.add(add_group)
User.objects.create(username="bob", password=make_password({PASSWORD!r}, hasher="pbkdf2_sha256"))
User.objects.create(username="gone", is_active=False, password=make_password(None))
User.objects.create_superuser("eve", "eve@example.org", {PASSWORD!r})
"""


class Import(ApplicationTest):
    """The gateway runs while users are imported into it."""

    application = "nginx"

    @classmethod
    def start_application(cls):
        return Program(
            [sys.executable, "-m", "http.server", str(cls.upstream_port), "--bind", "127.0.0.1"],
            port=cls.upstream_port,
            cwd=HERE,
        )

    @classmethod
    def create_users(cls):
        cls.environment = os.environ | {
            "POLLS_SITE_DATA": str(cls.directory),
            "POLLS_SITE_SECRET_KEY": secrets.token_urlsafe(40),
            "DJANGO_SETTINGS_MODULE": "polls_site.settings",
        }
        cls.manage("migrate", "--verbosity=0")
        cls.manage("shell", "--command", HISTORY)

    @classmethod
    def manage(cls, *arguments):
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=PROJECT,
            env=cls.environment,
            text=True,
            stdout=subprocess.PIPE,
            check=True,
        )
        return done.stdout

    def setUp(self):
        for name in self.users():
            self.gate.run("user", "delete", name)
        for group in json.loads(self.gate.run("group", "list", "--json")):
            self.gate.run("group", "delete", group["name"])
        for permission in json.loads(self.gate.run("permission", "list", "--json")):
            self.gate.run("permission", "delete", permission["permission"])

    def users(self):
        return [user["username"] for user in json.loads(self.gate.run("user", "list", "--json"))]

    def exported(self):
        lines = self.gate.run("export", "--passwords").splitlines()
        records = [json.loads(line) for line in lines]
        return {
            kind: {
                record[kind].get("username", record[kind].get("name")): record[kind]
                for record in records
                if kind in record
            }
            for kind in ("user", "group", "permission")
        }

    def hashes(self):
        command = (
            "from django.contrib.auth.models import User; import json; "
            "print(json.dumps(dict(User.objects.values_list('username', 'password'))))"
        )
        return json.loads(self.manage("shell", "--no-imports", "--command", command))

    def assert_is_the_project(self):
        found = self.exported()
        self.assertEqual(set(found["user"]), {"ada", "bob", "gone", "eve"})
        ada = found["user"]["ada"]
        self.assertEqual((ada["first_name"], ada["last_name"]), ("Ada", "Lövelace"))
        self.assertEqual(ada["last_login"], "2026-01-02T03:04:05Z")
        self.assertEqual(ada["date_joined"], "2020-01-02T03:04:05Z")
        self.assertEqual(ada["groups"], ["Site editors"])
        self.assertEqual(ada["permissions"], ["auth.add_group"])
        self.assertEqual((ada["is_staff"], ada["is_superuser"]), (True, False))
        self.assertEqual(found["group"]["Site editors"]["permissions"], ["auth.change_user"])
        self.assertEqual(found["permission"]["auth.change_user"]["description"], "Can change user")
        self.assertIs(found["user"]["eve"]["is_superuser"], True)
        self.assertIs(found["user"]["gone"]["is_active"], False)
        hashes = {name: user["password_hash"] for name, user in found["user"].items()}
        self.assertEqual(hashes, self.hashes())
        # The password that Django hashed opens the door here.
        self.gate.sign_in("ada")

    def test_a_django_database_is_imported(self):
        shown = self.gate.run("import", "django", str(self.directory / "polls.sqlite3"))
        self.assertIn("created 4 users", shown)
        self.assert_is_the_project()
        again = self.gate.run("import", "django", str(self.directory / "polls.sqlite3"), "--update")
        self.assertIn("4 users just so already", again)
        # The login has hashed anew what Django had hashed, and that stays.
        stored = self.exported()["user"]
        self.assertTrue(stored["ada"]["password_hash"].startswith("argon2$argon2id$v=19$m=8,"))

    def test_a_dump_is_imported(self):
        dump = self.directory / "dump.json"
        dump.write_text(self.manage("dumpdata", "--natural-foreign", "auth"))
        self.assertIn("created 4 users", self.gate.run("import", "django", str(dump)))
        self.assert_is_the_project()

    def test_a_dump_by_number_is_imported_with_its_content_types(self):
        dump = self.directory / "numbers.json"
        dump.write_text(self.manage("dumpdata", "auth", "contenttypes"))
        self.gate.run("import", "django", str(dump))
        self.assert_is_the_project()

    def test_what_is_exported_is_imported_again(self):
        self.gate.run("import", "django", str(self.directory / "polls.sqlite3"))
        for format in ("json", "csv"):
            before = self.exported()
            file = self.directory / f"all.{format}"
            self.gate.run("export", "--passwords", "--format", format, "--output", str(file))
            self.assertEqual(file.stat().st_mode & 0o777, 0o600)
            for name in self.users():
                self.gate.run("user", "delete", name)
            self.gate.run("import", format, str(file))
            self.assertEqual(self.exported(), before)
            self.gate.sign_in("ada")
