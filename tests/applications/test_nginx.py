"""nginx with files: ranges, conditions, compression and large bodies pass through untouched."""

import gzip
import hashlib
import os

from support import HERE, ApplicationTest, Browser, Program, spellings

LARGE = 64 << 20
PIECE = 1 << 16

# What Debian's nginx.conf has around a server, in a directory of the test's own. Names with an
# underscore are let in, so that it is the gateway that keeps them out.
SURROUNDINGS = """
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    underscores_in_headers on;
    client_body_temp_path temporary_body;
    proxy_temp_path temporary_proxy;
    fastcgi_temp_path temporary_fastcgi;
    uwsgi_temp_path temporary_uwsgi;
    scgi_temp_path temporary_scgi;
    types {{ text/plain txt; text/html html; }}
    {site}
}}
"""


class Nginx(ApplicationTest):
    application = "nginx"

    @classmethod
    def start_application(cls):
        cls.files = cls.directory / "files"
        (cls.files / "directory").mkdir(parents=True)
        (cls.files / "upload").mkdir()
        (cls.files / "public").mkdir()
        (cls.files / "hello.txt").write_text("Good evening, everybody.\n" * 100)
        (cls.files / "directory" / "index.html").write_text("<h1>Index</h1>")
        (cls.files / "a name with spaces & ümlauts.txt").write_text("found")
        digest = hashlib.sha256()
        with open(cls.files / "large.bin", "wb") as file:
            for _ in range(LARGE // PIECE):
                piece = os.urandom(PIECE)
                digest.update(piece)
                file.write(piece)
        cls.large = digest.hexdigest()
        site = (HERE / "nginx" / "site.conf").read_text()
        site = site.replace("127.0.0.1:3000", f"127.0.0.1:{cls.upstream_port}")
        site = site.replace("/srv/files", str(cls.files))
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
            env=os.environ | {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"},
        )

    @classmethod
    def create_users(cls):
        super().create_users()
        cls.gate.run("group", "create", "Uploaders")
        cls.gate.create_user(
            "eve", "--group", "Uploaders", "--permission", "files.change_file", "--email", "eve@example.org"
        )

    def setUp(self):
        self.ada = self.gate.sign_in("ada")

    def test_anonymous_visitors_are_sent_to_log_in(self):
        self.assert_sent_to_log_in("/hello.txt")
        self.assert_sent_to_log_in("/upload/")
        self.assert_refused_as_anonymous(self.gate.visitor().get("/hello.txt", navigation=False))

    def test_nginx_knows_who_is_asking(self):
        answer = self.ada.get("/whoami")
        self.assertEqual(answer.body.decode(), "user=ada name=Ada Lövelace groups=\n")
        answer = self.gate.sign_in("eve").get("/whoami")
        self.assertEqual(answer.text, "user=eve name= groups=Uploaders\n")

    def test_a_public_page_greets_whoever_has_a_session(self):
        self.assertEqual(self.gate.visitor().get("/public/whoami").text, "user=\n")
        self.assertEqual(self.ada.get("/public/whoami").text, "user=ada\n")

    def test_files_are_the_same_as_without_the_gateway(self):
        for target in ("/hello.txt", "/directory/", "/a%20name%20with%20spaces%20&%20%C3%BCmlauts.txt"):
            ours, direct = self.ada.get(target), Browser(self.upstream_port).get(target)
            self.assertEqual((ours.status, ours.body), (200, direct.body), target)
            for name in ("Content-Type", "Content-Length", "Last-Modified", "ETag", "Accept-Ranges"):
                self.assertEqual(ours.headers[name], direct.headers[name], (target, name))

    def test_what_is_missing_is_nginxs_own_404(self):
        answer = self.ada.get("/nothing-here.txt")
        self.assertEqual(answer.status, 404)
        self.assertIn("nginx", answer.text)

    def test_a_directory_without_its_slash_is_redirected_on_this_site(self):
        answer = self.ada.get("/directory")
        self.assertEqual((answer.status, answer.headers["Location"]), (301, "/directory/"))

    def test_heads_have_no_body(self):
        answer = self.ada.request("HEAD", "/hello.txt")
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(answer.headers["Content-Length"], "2500")

    def test_ranges(self):
        whole = (self.files / "large.bin").read_bytes()
        for text, part in (
            ("0-99", whole[:100]),
            ("1000000-2000000", whole[1000000:2000001]),
            ("-500", whole[-500:]),
        ):
            answer = self.ada.get("/large.bin", [("Range", f"bytes={text}")])
            self.assertEqual((answer.status, answer.body), (206, part), text)
            self.assertIn(f"/{LARGE}", answer.headers["Content-Range"])
        answer = self.ada.get("/large.bin", [("Range", f"bytes={LARGE}-")])
        self.assertEqual(answer.status, 416)
        answer = self.ada.get("/hello.txt", [("Range", "bytes=0-3,10-13")])
        self.assertEqual(answer.status, 206)
        self.assertTrue(answer.headers["Content-Type"].startswith("multipart/byteranges"))

    def test_conditions(self):
        first = self.ada.get("/hello.txt")
        for name, value in (
            ("If-None-Match", first.headers["ETag"]),
            ("If-Modified-Since", first.headers["Last-Modified"]),
        ):
            answer = self.ada.get("/hello.txt", [(name, value)])
            self.assertEqual((answer.status, answer.body), (304, b""), name)
            self.assertEqual(answer.headers["ETag"], first.headers["ETag"])
        answer = self.ada.get("/hello.txt", [("If-Match", '"another"')])
        self.assertEqual(answer.status, 412)

    def test_compression_is_left_alone(self):
        answer = self.ada.get("/hello.txt", [("Accept-Encoding", "gzip")])
        self.assertEqual(answer.headers["Content-Encoding"], "gzip")
        self.assertEqual(gzip.decompress(answer.body), (self.files / "hello.txt").read_bytes())
        self.assertIsNone(self.ada.get("/hello.txt").headers["Content-Encoding"])

    def test_a_large_file_comes_down_whole(self):
        answer = self.ada.get("/large.bin")
        self.assertEqual(len(answer.body), LARGE)
        self.assertEqual(hashlib.sha256(answer.body).hexdigest(), self.large)

    def test_a_large_file_goes_up_whole(self):
        eve = self.gate.sign_in("eve")
        body = (self.files / "large.bin").read_bytes()
        answer = eve.request("PUT", "/upload/with-length.bin", (), body)
        self.assertEqual(answer.status, 201, answer)
        pieces = (body[start : start + PIECE] for start in range(0, LARGE, PIECE))
        answer = eve.request("PUT", "/upload/in-chunks.bin", (), pieces)
        self.assertEqual(answer.status, 201, answer)
        for name in ("with-length.bin", "in-chunks.bin"):
            file = self.files / "upload" / name
            self.assertEqual(hashlib.sha256(file.read_bytes()).hexdigest(), self.large, name)
            answer = eve.request("DELETE", f"/upload/{name}")
            self.assertEqual(answer.status, 204, answer)
            self.assertFalse(file.exists())

    def test_uploading_needs_its_permission(self):
        answer = self.ada.request("PUT", "/upload/adas.txt", (), b"x")
        self.assertEqual(answer.status, 403, answer)
        answer = self.gate.visitor().request("PUT", "/upload/x.txt", (), b"x", navigation=False)
        self.assert_refused_as_anonymous(answer)
        self.assertEqual(self.ada.get("/upload/").status, 403)
        self.assertEqual(list((self.files / "upload").iterdir()), [])
        self.assertEqual(self.gate.sign_in("eve").get("/upload/").status, 200)

    def test_ways_around_a_rule_lead_nowhere(self):
        (self.files / "upload" / "secret.txt").write_text("the secret")
        self.addCleanup((self.files / "upload" / "secret.txt").unlink)
        for target in (
            "/public/../upload/secret.txt",
            "/public/..%2fupload/secret.txt",
            "/public/%2e%2e/upload/secret.txt",
            "/public//../upload/secret.txt",
            "//upload/secret.txt",
            "/public/..%5cupload/secret.txt",
            "/%75pload/secret.txt",
            "/UPLOAD/secret.txt",
            "/upload%2fsecret.txt",
            "/public/../upload/secret.txt?/public/",
        ):
            for browser in (self.gate.visitor(), self.ada):
                answer = browser.get(target)
                self.assertIn(answer.status, (302, 303, 400, 403, 404), target)
                self.assertNotIn(b"the secret", answer.body, target)

    def test_nobody_becomes_a_user_by_a_header(self):
        for name in spellings("Remote-User"):
            with self.subTest(name=name):
                forged = [(name, "admin")]
                self.assertEqual(self.gate.visitor().get("/public/whoami", forged).text, "user=\n")
                self.assertEqual(self.ada.get("/public/whoami", forged).text, "user=ada\n")
                self.assertIn(self.gate.visitor().get("/whoami", forged).status, (302, 303))

    def test_the_attack_is_real_without_the_gateway(self):
        answer = Browser(self.upstream_port).get("/whoami", [("Remote_User", "admin")])
        self.assertIn("user=admin", answer.text)
