"""Users of a Django project that Django's admin and Vestibule manage at the same time, on both
databases: `[users] schema = "django"`."""

import json
import os
import pathlib
import re
import secrets
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

import postgres
from support import HERE, PASSWORD, Browser, Gate, Program, free_port

PROJECT = HERE / "django_users"
OTHER = "another horse battery staple"


class SharedUsers:
    """What both databases do; the classes below say where the database is."""

    user_model = None
    user_table = "auth_user"
    # Whether the database tells of changes at once.
    triggers = False

    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="vestibule-"))
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.port = free_port()
        cls.make_database()
        cls.environment = os.environ | {
            "SITE_SECRET_KEY": secrets.token_urlsafe(40),
            "SITE_DATABASE": json.dumps(cls.for_django()),
            "SITE_USER_MODEL": cls.user_model or "",
            "DJANGO_SETTINGS_MODULE": "site_of_polls.settings",
        }
        cls.manage("migrate", "--verbosity=0")
        cls.before = cls.structure()
        cls.in_django("User.objects.create_superuser('root', 'root@example.org', %r)" % PASSWORD)
        site = Program(
            [
                sys.executable, "-m", "waitress", f"--listen=127.0.0.1:{cls.port}",
                "site_of_polls.wsgi:application",
            ],
            port=cls.port, cwd=PROJECT, env=cls.environment,
        )
        cls.addClassCleanup(site.stop)
        cls.gate = Gate(cls.directory, cls.configuration(), cls.port)
        cls.gate.run("check")
        cls.gate.start()
        cls.addClassCleanup(cls.gate.stop)

    @classmethod
    def configuration(cls):
        """That of the handbook, on this database."""
        text = (PROJECT / "vestibule.toml").read_text()
        assert text.count("sqlite:/srv/site/db.sqlite3") == 1
        text = text.replace("sqlite:/srv/site/db.sqlite3", cls.for_vestibule())
        more = f'user_table = "{cls.user_table}"\ntriggers = {str(cls.triggers).lower()}\n'
        text = text.replace('schema = "django"\n', 'schema = "django"\n' + more)
        path = cls.directory / "adapted.toml"
        path.write_text(text)
        return path

    @classmethod
    def manage(cls, *arguments):
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=PROJECT, env=cls.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    @classmethod
    def in_django(cls, code):
        """Runs a few lines in the project, as Django's own pages would; gives what they print."""
        prelude = (
            "from django.contrib.auth import authenticate, get_user_model\n"
            "from django.contrib.auth.models import Group, Permission\n"
            "from polls.models import MySiteProfile, Poll\n"
            "User = get_user_model()\n"
        )
        script = f"import django\ndjango.setup()\n{prelude}{code}\n"
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=PROJECT, env=cls.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout.strip()

    def soon(self, condition, what):
        """Waits until `condition` gives something, no longer than `refresh` and a little."""
        end = time.monotonic() + (1 if self.triggers else 5)
        while not (result := condition()):
            if time.monotonic() > end:
                raise AssertionError(f"not seen in time: {what}")
            time.sleep(0.05)
        return result

    def status(self, browser, target):
        return browser.get(target, navigation=False).status

    def log_in(self, name, password):
        """Logs in at the gateway; gives the browser if that was right."""
        browser = self.gate.visitor()
        page = browser.get("/accounts/login/")
        answer = browser.submit(page.text, "/accounts/login/", {"username": name, "password": password})
        return browser if answer.status in (302, 303) else None

    def log_in_at_django(self, name, password):
        """Logs in at Django's own admin, past the gateway."""
        browser = Browser(self.port)
        page = browser.get("/django-admin/login/")
        fields = {"username": name, "password": password, "next": "/django-admin/"}
        answer = browser.submit(page.text, "/django-admin/login/", fields)
        return browser if answer.status == 302 else None

    def test_who_was_made_by_django_logs_in_here(self):
        self.in_django("User.objects.create_user('dora', 'dora@example.org', %r, first_name='Dora')" % PASSWORD)
        dora = self.log_in("dora", PASSWORD)
        self.assertEqual(json.loads(dora.get("/").body)["user"], "dora")
        self.assertIsNone(self.log_in("dora", OTHER))
        shown = json.loads(self.gate.run("user", "show", "dora", "--json"))
        self.assertEqual((shown["first_name"], shown["email"]), ("Dora", "dora@example.org"))
        # Django reads when that was, in its own time zone.
        ago = self.in_django(
            "from django.utils import timezone\n"
            "dora = User.objects.get(username='dora')\n"
            "print((timezone.now() - dora.last_login).total_seconds(), (timezone.now() - dora.date_joined).total_seconds())"
        )
        for seconds in ago.split():
            self.assertTrue(-2 < float(seconds) < 60, ago)
        joined = self.in_django("print(int(User.objects.get(username='dora').date_joined.timestamp()))")
        parsed = self.in_django(
            f"import datetime; print(int(datetime.datetime.fromisoformat({shown['date_joined']!r}).timestamp()))"
        )
        self.assertEqual(joined, parsed)

    def test_who_was_made_here_logs_in_at_django(self):
        self.gate.create_user("vera", "--staff", "--email", "vera@example.org", "--last-name", "Ämilia")
        self.assertIsNotNone(self.log_in_at_django("vera", PASSWORD))
        self.assertIsNone(self.log_in_at_django("vera", OTHER))
        seen = self.in_django(
            "v = User.objects.get(username='vera')\n"
            "print(v.last_name, v.is_staff, v.is_superuser, v.is_active, v.check_password(%r), v.date_joined.tzinfo)" % PASSWORD
        )
        self.assertEqual(seen, "Ämilia True False True True UTC")
        self.gate.run("user", "set-password", "vera", "--password-stdin", input=OTHER + "\n")
        self.assertIsNotNone(self.log_in_at_django("vera", OTHER))
        self.in_django("v = User.objects.get(username='vera'); v.set_password(%r); v.save()" % PASSWORD)
        self.assertIsNotNone(self.log_in("vera", PASSWORD))

    def test_groups_and_permissions_are_the_same_on_both_sides(self):
        self.gate.create_user("greta")
        greta = self.log_in("greta", PASSWORD)
        self.assertEqual(self.status(greta, "/editors/"), 403)
        self.assertEqual(self.status(greta, "/vote/"), 403)

        self.in_django(
            "editors, _ = Group.objects.get_or_create(name='Site editors')\n"
            "User.objects.get(username='greta').groups.add(editors)"
        )
        self.soon(lambda: self.status(greta, "/editors/") == 200, "the group given by Django")
        self.in_django(
            "Group.objects.get(name='Site editors').permissions.add(Permission.objects.get(codename='can_vote'))"
        )
        self.soon(lambda: self.status(greta, "/vote/") == 200, "the permission given by Django")
        self.in_django("Group.objects.get(name='Site editors').permissions.clear()")
        self.soon(lambda: self.status(greta, "/vote/") == 403, "the permission taken by Django")

        self.gate.run("permission", "grant", "polls.can_vote", "--user", "greta")
        self.assertEqual(self.status(greta, "/vote/"), 200)
        rights = "print(sorted(User.objects.get(username='greta').get_all_permissions()))"
        self.assertEqual(self.in_django(rights), "['polls.can_vote']")
        self.gate.run("permission", "revoke", "polls.can_vote", "--user", "greta")
        self.assertEqual(self.in_django(rights), "[]")
        self.gate.run("group", "create", "Night shift", "--permission", "polls.can_count")
        self.gate.run("group", "add", "Night shift", "greta")
        self.assertEqual(self.in_django(rights), "['polls.can_count']")
        self.gate.run("group", "remove", "Site editors", "greta")
        self.assertEqual(self.status(greta, "/editors/"), 403)
        names = "print(list(User.objects.get(username='greta').groups.values_list('name', flat=True)))"
        self.assertEqual(self.in_django(names), "['Night shift']")
        self.gate.run("group", "delete", "Night shift")
        self.assertEqual(self.in_django(names + "\n" + rights), "[]\n[]")

    def test_djangos_admin_and_the_command_change_the_same_user(self):
        self.gate.create_user("hugo")
        hugo = self.log_in("hugo", PASSWORD)
        self.assertEqual(self.status(hugo, "/"), 200)
        root = self.log_in_at_django("root", PASSWORD)
        number = self.in_django("print(User.objects.get(username='hugo').pk)")
        label = "members/member" if self.user_model else "auth/user"
        page = root.get(f"/django-admin/{label}/{number}/change/")
        fields = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', page.text))
        fields = {name: value for name, value in fields.items() if not name.startswith("_")}
        fields |= {"username": "hugo", "first_name": "Hugo", "_save": "Save"}
        fields.pop("is_active", None)  # The box is no longer ticked.
        for box in ("is_staff", "is_superuser"):
            fields.pop(box, None)
        answer = root.submit("", f"/django-admin/{label}/{number}/change/", fields)
        self.assertEqual(answer.status, 302, answer)
        self.soon(lambda: self.status(hugo, "/") == 401, "the deactivation by Django's admin")
        shown = json.loads(self.gate.run("user", "show", "hugo", "--json"))
        self.assertEqual((shown["first_name"], shown["is_active"]), ("Hugo", False))
        self.gate.run("user", "set", "hugo", "is_active=true", "last_name=Boss")
        self.assertEqual(self.in_django("h = User.objects.get(username='hugo'); print(h.is_active, h.last_name)"), "True Boss")

    def test_users_are_deleted_on_either_side(self):
        self.gate.create_user("ida")
        ida = self.log_in("ida", PASSWORD)
        self.in_django("User.objects.get(username='ida').delete()")
        self.soon(lambda: self.status(ida, "/") == 401, "the deletion by Django")

        self.in_django(
            "from django.contrib.admin.models import LogEntry\n"
            "from django.contrib.contenttypes.models import ContentType\n"
            "kurt = User.objects.create_user('kurt', password=%r)\n"
            "kurt.groups.add(Group.objects.get_or_create(name='Guests')[0])\n"
            "kurt.user_permissions.add(Permission.objects.get(codename='can_vote'))\n"
            "LogEntry.objects.create(user=kurt, content_type=ContentType.objects.get_for_model(User), action_flag=1)" % PASSWORD
        )
        self.gate.run("user", "delete", "kurt")
        self.assertEqual(self.in_django("print(User.objects.filter(username='kurt').count())"), "0")

        # What the project itself keeps of a user is the project's to delete.
        self.in_django("Poll.objects.create(question='?', asked_by=User.objects.create_user('lena'))")
        with self.assertRaises(AssertionError) as refused:
            self.gate.run("user", "delete", "lena")
        self.assertIn("is_active=false", str(refused.exception))
        self.assertEqual(self.in_django("print(User.objects.filter(username='lena').count())"), "1")

    def test_the_profile_of_the_book_reaches_the_application(self):
        self.in_django(
            "ned = User.objects.create_user('ned', password=%r)\n"
            "MySiteProfile.objects.create(user=ned, favorite_band='The Beatles', likes_cheese=False, lucky_number=7)" % PASSWORD
        )
        ned = self.log_in("ned", PASSWORD)
        self.assertEqual(json.loads(ned.get("/").body)["band"], "The Beatles")
        profile = json.loads(self.gate.run("user", "show", "ned", "--json"))["profile"]
        expected = {"favorite_band": "The Beatles", "favorite_cheese": "", "likes_cheese": "false", "lucky_number": "7"}
        self.assertEqual({k: v for k, v in profile.items() if v}, {k: v for k, v in expected.items() if v})
        self.in_django("MySiteProfile.objects.update(favorite_band='The Kinks')")
        self.soon(lambda: json.loads(ned.get("/").body)["band"] == "The Kinks", "the other band")
        # Fields of our own go beside them.
        self.gate.run("user", "set", "ned", "profile.motto=Onwards")
        profile = json.loads(self.gate.run("user", "show", "ned", "--json"))["profile"]
        self.assertEqual((profile["motto"], profile["favorite_band"]), ("Onwards", "The Kinks"))
        with self.assertRaises(AssertionError) as refused:
            self.gate.run("user", "set", "ned", "profile.favorite_band=Queen")
        self.assertIn("polls_mysiteprofile", str(refused.exception))

    def test_declared_permissions_are_rows_as_django_makes_them(self):
        seen = self.in_django(
            "for p in Permission.objects.filter(content_type__app_label='polls').order_by('content_type__model', 'codename'):\n"
            "    print(p.content_type.model, p.codename, p.name, sep=' | ')"
        ).splitlines()
        self.assertIn("choice | add_choice | Can add choice", seen)
        self.assertIn("choice | view_choice | Can view choice", seen)
        self.assertEqual(len([line for line in seen if "add_poll" in line]), 1, seen)
        self.assertEqual(len([line for line in seen if "can_vote" in line]), 1, seen)
        self.assertEqual(len([line for line in seen if "can_count | Can count votes" in line]), 1, seen)

    def test_the_structure_of_the_project_stays_what_it_was(self):
        if not self.triggers:
            self.assertEqual(self.structure(), self.before)
        self.assertIn("No changes", self.manage("makemigrations", "--check", "--dry-run"))
        self.manage("migrate", "--verbosity=0")
        self.manage("check")

    def test_a_name_is_taken_on_both_sides(self):
        self.in_django("User.objects.create_user('olga')")
        with self.assertRaises(AssertionError) as refused:
            self.gate.create_user("olga")
        self.assertIn("there is a user `olga` already", str(refused.exception))


class OnSqlite(SharedUsers, unittest.TestCase):
    @classmethod
    def make_database(cls):
        cls.file = cls.directory / "db.sqlite3"

    @classmethod
    def for_django(cls):
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(cls.file)}

    @classmethod
    def for_vestibule(cls):
        return f"sqlite:{cls.file}"

    @classmethod
    def structure(cls):
        with sqlite3.connect(cls.file) as database:
            rows = database.execute(
                "SELECT type, name, sql FROM sqlite_master"
                " WHERE tbl_name NOT LIKE 'vestibule%' ORDER BY type, name"
            )
            return rows.fetchall() + database.execute("PRAGMA journal_mode").fetchall()


class OnPostgres(SharedUsers, unittest.TestCase):
    name = "site"

    @classmethod
    def make_database(cls):
        cls.server = postgres.Server()
        cls.addClassCleanup(cls.server.stop)
        cls.server.new_database(cls.name)

    @classmethod
    def for_django(cls):
        return {
            "ENGINE": "django.db.backends.postgresql", "NAME": cls.name, "USER": "postgres",
            "HOST": "127.0.0.1", "PORT": cls.server.port,
        }

    @classmethod
    def for_vestibule(cls):
        return f"postgres://postgres@127.0.0.1:{cls.server.port}/{cls.name}"

    @classmethod
    def structure(cls):
        return cls.server.structure(cls.name)


class OnPostgresWithTriggersAndAModelOfItsOwn(OnPostgres):
    user_model = "members.Member"
    user_table = "members_member"
    triggers = True


class OnSqliteWithAModelOfItsOwn(OnSqlite):
    user_model = "members.Member"
    user_table = "members_member"
