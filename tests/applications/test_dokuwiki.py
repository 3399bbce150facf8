"""DokuWiki as Debian packages it, behind nginx and PHP-FPM: who may read and write is its own
access control list, and who is who comes from the gateway."""

import os
import pathlib
import re
import shutil
import urllib.parse

from support import HERE, ApplicationTest, Browser, Program, inputs, spellings
from test_nginx import SURROUNDINGS

FILES = HERE / "dokuwiki"
PACKAGE = pathlib.Path("/usr/share/dokuwiki")
CONFIGURATION = pathlib.Path("/etc/dokuwiki")
FOLDERS = "attic cache index locks log media media_attic media_meta meta pages tmp".split()

POOL = """
[global]
error_log = /dev/stderr
daemonize = no
[www]
listen = {socket}
{owner}
pm = static
pm.max_children = 2
catch_workers_output = yes
"""


class DokuWiki(ApplicationTest):
    application = "dokuwiki"

    @classmethod
    def start_application(cls):
        wiki, settings, data = (cls.directory / name for name in ("wiki", "settings", "data"))
        socket = cls.directory / "php.sock"
        # A copy of the package, so that the machine's own wiki is left alone.
        shutil.copytree(PACKAGE, wiki, ignore_dangling_symlinks=True)
        preload = wiki / "inc" / "preload.php"
        preload.write_text(preload.read_text().replace("/etc/dokuwiki", str(settings)))
        settings.mkdir()
        for file in CONFIGURATION.iterdir():
            if file.is_file() and not file.is_symlink():
                shutil.copy(file, settings)
        for folder in FOLDERS:
            (data / folder).mkdir(parents=True)
        for name in ("local.php", "acl.auth.php"):
            shutil.copy(FILES / name, settings)
        place = f"<?php\n$conf['savedir'] = '{data}';\n"
        (settings / "local.protected.php").write_text(place)
        shutil.copytree(FILES / "authvestibule", wiki / "lib" / "plugins" / "authvestibule")

        environment = os.environ | {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
        owner = "user = root\ngroup = root" if os.geteuid() == 0 else ""
        pool = cls.directory / "pool.conf"
        pool.write_text(POOL.format(socket=socket, owner=owner))
        as_root = ["--allow-to-run-as-root"] if os.geteuid() == 0 else []
        php = Program(
            [sorted(pathlib.Path("/usr/sbin").glob("php-fpm*"))[-1], *as_root, "--fpm-config", pool],
            cwd=cls.directory,
        )
        cls.addClassCleanup(php.stop)
        php.wait_for(socket.exists)

        site = (FILES / "site.conf").read_text()
        site = site.replace("127.0.0.1:3000", f"127.0.0.1:{cls.upstream_port}")
        site = site.replace(str(PACKAGE), str(wiki))
        site = site.replace("/run/php/php-fpm.sock", str(socket))
        (cls.directory / "nginx.conf").write_text(SURROUNDINGS.format(site=site))
        return Program(
            [
                "nginx",
                *("-p", f"{cls.directory}/"),
                *("-c", cls.directory / "nginx.conf"),
                *("-e", "stderr"),
                *("-g", "daemon off; master_process off;"),
            ],
            port=cls.upstream_port,
            env=environment,
        )

    @classmethod
    def create_users(cls):
        # The file declares the groups: nobody has to create them.
        cls.gate.create_user(
            "ada", "--first-name", "Ada", "--last-name", "Lövelace", "--group", "editors"
        )
        cls.gate.create_user("bob")
        cls.gate.create_user("eve", "--group", "admin")

    def page(self, browser, name, **query):
        target = "/doku.php?" + urllib.parse.urlencode({"id": name, **query})
        return browser.get(target)

    def write(self, browser, name, text):
        """Edits a page as its form does."""
        form = self.page(browser, name, do="edit")
        fields = inputs(form.text) | {"wikitext": text, "do[save]": "Save"}
        return browser.post("/doku.php", fields)

    def test_anonymous_visitors_are_sent_to_log_in(self):
        self.assert_sent_to_log_in("/doku.php?id=start")
        self.assert_refused_as_anonymous(self.gate.visitor().get("/feed.php", navigation=False))

    def test_the_wiki_knows_who_is_asking(self):
        page = self.page(self.gate.sign_in("ada"), "start")
        self.assertEqual(page.status, 200, page)
        self.assertIn("Ada Lövelace", page.text)
        self.assertRegex(page.text, r"<bdi>ada</bdi>|\(ada\)|ada")
        # There is no form to log in with: the wiki has no users of its own.
        login = self.page(self.gate.sign_in("bob"), "start", do="login")
        self.assertNotIn('name="p"', login.text)

    def test_an_editor_writes_a_page_that_others_read(self):
        ada, bob = self.gate.sign_in("ada"), self.gate.sign_in("bob")
        answer = self.write(ada, "minutes", "====== Minutes ======\nEverybody was there: Čeněk, too.\n")
        self.assertIn(answer.status, (302, 303), answer)
        page = self.page(bob, "minutes")
        self.assertIn("Everybody was there: Čeněk, too.", page.text)
        revisions = self.page(ada, "minutes", do="revisions")
        self.assertIn("ada", re.sub(r"(?s)<header.*?</header>", "", revisions.text))
        self.assertIn("Everybody", self.page(bob, "minutes", do="export_raw").text)

    def test_whoever_is_no_editor_reads_alone(self):
        bob = self.gate.sign_in("bob")
        page = self.page(bob, "plans", do="edit")
        self.assertNotIn("do[save]", page.text)
        token = inputs(self.page(bob, "plans").text).get("sectok", "")
        fields = {"id": "plans", "sectok": token, "wikitext": "bob was here", "do[save]": "Save"}
        bob.post("/doku.php", fields)
        self.assertNotIn("bob was here", self.page(bob, "plans").text)

    def test_a_lost_group_counts_at_once(self):
        self.gate.create_user("dora", "--group", "editors")
        dora = self.gate.sign_in("dora")
        self.assertIn("do[save]", self.page(dora, "dora", do="edit").text)
        self.gate.run("group", "remove", "editors", "dora")
        self.assertNotIn("do[save]", self.page(dora, "dora", do="edit").text)

    def test_the_administration_is_for_its_group(self):
        page = self.page(self.gate.sign_in("eve"), "start", do="admin")
        self.assertIn("Configuration Settings", page.text)
        page = self.page(self.gate.sign_in("ada"), "start", do="admin")
        self.assertNotIn("Configuration Settings", page.text)

    def test_another_user_on_the_same_browser_is_another(self):
        browser = self.gate.sign_in("ada")
        self.assertIn("Lövelace", self.page(browser, "start").text)
        browser.log_out()
        browser.log_in("bob", "/doku.php")
        page = self.page(browser, "start")
        self.assertNotIn("Lövelace", page.text)

    def test_nobody_becomes_a_user_by_a_header(self):
        bob = self.gate.sign_in("bob")
        for name in spellings("Remote-User"):
            forged = [(name, "eve"), ("Remote-Groups", "admin,editors")]
            with self.subTest(name=name):
                answer = self.gate.visitor().get("/doku.php?id=start", forged)
                self.assertIn(answer.status, (302, 303))
                page = bob.get("/doku.php?id=start&do=admin", forged)
                self.assertNotIn("Configuration Settings", page.text)

    def test_what_is_not_for_browsers_is_not_served(self):
        ada = self.gate.sign_in("ada")
        for path in ("/inc/init.php", "/install.php", "/bin/dwpage.php", "/.htaccess"):
            self.assertEqual(ada.get(path).status, 404, path)

    def test_the_attack_is_real_without_the_gateway(self):
        direct = Browser(self.upstream_port)
        forged = [("Remote-User", "mallory"), ("Remote-Groups", "admin")]
        page = direct.get("/doku.php?id=start&do=admin", forged)
        self.assertIn("Configuration Settings", page.text)
