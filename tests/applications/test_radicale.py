"""Radicale with `http_x_remote_user`: calendars and address books, each for its owner alone."""

import sys
import xml.etree.ElementTree as ElementTree

from support import HERE, ApplicationTest, Browser, Program, spellings

EVENT = b"""BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//Vestibule//test//EN\r
BEGIN:VEVENT\r
UID:opening-night\r
DTSTAMP:20260101T120000Z\r
DTSTART:20260102T190000Z\r
DTEND:20260102T210000Z\r
SUMMARY:Opening night at the Caf\xc3\xa9\r
END:VEVENT\r
END:VCALENDAR\r
"""

CALENDAR = b"""<?xml version="1.0" encoding="utf-8"?>
<mkcol xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">
  <set><prop>
    <resourcetype><collection/><C:calendar/></resourcetype>
    <displayname>Rehearsals</displayname>
  </prop></set>
</mkcol>"""

EVERYTHING = b"""<?xml version="1.0" encoding="utf-8"?>
<propfind xmlns="DAV:"><prop><displayname/><getetag/><current-user-principal/></prop></propfind>"""

QUERY = b"""<?xml version="1.0" encoding="utf-8"?>
<C:calendar-query xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">
  <prop><getetag/><C:calendar-data/></prop>
  <C:filter><C:comp-filter name="VCALENDAR"/></C:filter>
</C:calendar-query>"""

XML = ("Content-Type", "application/xml; charset=utf-8")
ICS = ("Content-Type", "text/calendar; charset=utf-8")


class Radicale(ApplicationTest):
    application = "radicale"

    @classmethod
    def start_application(cls):
        text = (HERE / "radicale" / "radicale.conf").read_text()
        text = text.replace("127.0.0.1:3000", f"127.0.0.1:{cls.upstream_port}")
        text = text.replace("/var/lib/radicale", str(cls.directory))
        (cls.directory / "radicale.conf").write_text(text)
        return Program(
            [
                *(sys.executable, "-m", "radicale"),
                *("--config", cls.directory / "radicale.conf"),
                # Radicale lets whoever is refused wait for a second or two.
                *("--auth-delay", "0"),
            ],
            port=cls.upstream_port,
            cwd=cls.directory,
        )

    def setUp(self):
        self.ada = self.gate.sign_in("ada")
        self.home = f"/ada/{self.id().rsplit('.', 1)[1]}/"

    def dav(self, browser, method, target, body=None, *headers):
        return browser.request(method, target, headers, body, navigation=False)

    def make_calendar(self):
        answer = self.dav(self.ada, "MKCOL", self.home, CALENDAR, XML)
        self.assertEqual(answer.status, 201, answer)
        answer = self.dav(self.ada, "PUT", self.home + "opening.ics", EVENT, ICS)
        self.assertEqual(answer.status, 201, answer)
        return answer.headers["ETag"]

    def test_anonymous_visitors_are_sent_to_log_in(self):
        self.assert_sent_to_log_in("/.web/")
        for method in ("PROPFIND", "REPORT", "OPTIONS", "GET", "DELETE"):
            self.assert_refused_as_anonymous(self.dav(self.gate.visitor(), method, "/ada/"))
        self.assert_refused_as_anonymous(
            self.dav(self.gate.visitor(), "PUT", "/ada/x.ics", EVENT, ICS)
        )

    def test_the_web_interface_is_shown(self):
        answer = self.ada.get("/.web/")
        self.assertEqual(answer.status, 200)
        self.assertIn("Radicale", answer.text)

    def test_radicale_knows_who_is_asking(self):
        answer = self.dav(self.ada, "PROPFIND", "/", EVERYTHING, ("Depth", "0"), XML)
        self.assertEqual(answer.status, 207, answer)
        principal = ElementTree.fromstring(answer.body).find(
            ".//{DAV:}current-user-principal/{DAV:}href"
        )
        self.assertEqual(principal.text, "/ada/")

    def test_an_event_is_kept_byte_for_byte(self):
        tag = self.make_calendar()
        answer = self.dav(self.ada, "GET", self.home + "opening.ics")
        self.assertEqual(answer.status, 200, answer)
        self.assertIn("SUMMARY:Opening night at the Café", answer.text)
        self.assertEqual(answer.headers["ETag"], tag)
        self.assertIn("text/calendar", answer.headers["Content-Type"])

    def test_collections_are_listed_and_searched(self):
        self.make_calendar()
        answer = self.dav(self.ada, "PROPFIND", self.home, EVERYTHING, ("Depth", "1"), XML)
        self.assertEqual(answer.status, 207, answer)
        found = [href.text for href in ElementTree.fromstring(answer.body).iter("{DAV:}href")]
        self.assertIn(self.home + "opening.ics", found)
        self.assertIn("Rehearsals", answer.text)
        answer = self.dav(self.ada, "REPORT", self.home, QUERY, ("Depth", "1"), XML)
        self.assertEqual(answer.status, 207, answer)
        self.assertIn("UID:opening-night", answer.text)

    def test_conditions_reach_radicale(self):
        tag = self.make_calendar()
        target = self.home + "opening.ics"
        answer = self.dav(self.ada, "PUT", target, EVENT, ICS, ("If-None-Match", "*"))
        self.assertEqual(answer.status, 412, answer)
        answer = self.dav(self.ada, "DELETE", target, None, ("If-Match", '"another"'))
        self.assertEqual(answer.status, 412, answer)
        answer = self.dav(self.ada, "DELETE", target, None, ("If-Match", tag))
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(self.dav(self.ada, "GET", target).status, 404)

    def test_a_move_names_the_gateways_own_address(self):
        self.make_calendar()
        destination = f"http://127.0.0.1:{self.gate.port}{self.home}moved.ics"
        answer = self.dav(self.ada, "MOVE", self.home + "opening.ics", None, ("Destination", destination))
        self.assertEqual(answer.status, 201, answer)
        self.assertEqual(self.dav(self.ada, "GET", self.home + "moved.ics").status, 200)

    def test_what_is_adas_is_not_bobs(self):
        self.make_calendar()
        bob = self.gate.sign_in("bob")
        target = self.home + "opening.ics"
        attempts = [
            self.dav(bob, "GET", target),
            self.dav(bob, "PROPFIND", self.home, EVERYTHING, ("Depth", "1"), XML),
            self.dav(bob, "REPORT", self.home, QUERY, ("Depth", "1"), XML),
            self.dav(bob, "PUT", target, EVENT, ICS),
            self.dav(bob, "DELETE", target),
            self.dav(bob, "MKCOL", "/ada/bobs/", CALENDAR, XML),
        ]
        for answer in attempts:
            self.assertIn(answer.status, (403, 404), answer)
            self.assertNotIn(b"opening-night", answer.body)
        self.assertEqual(self.dav(self.ada, "GET", target).status, 200)

    def test_nobody_becomes_a_user_by_a_header(self):
        self.make_calendar()
        bob = self.gate.sign_in("bob")
        target = self.home + "opening.ics"
        names = [*spellings("X-Remote-User"), *spellings("Remote-User")]
        for name in names:
            with self.subTest(name=name):
                self.assertEqual(self.dav(bob, "GET", target, None, (name, "ada")).status, 403)
                self.assert_refused_as_anonymous(
                    self.dav(self.gate.visitor(), "GET", target, None, (name, "ada"))
                )
        hidden = ("Connection", "close, X-Remote-User")
        self.assertEqual(self.dav(bob, "GET", target, None, hidden, ("X-Remote-User", "ada")).status, 403)

    def test_a_password_in_the_request_changes_nothing(self):
        self.make_calendar()
        basic = ("Authorization", "Basic YWRhOnB3")
        bob = self.gate.sign_in("bob")
        self.assertEqual(self.dav(bob, "GET", self.home + "opening.ics", None, basic).status, 403)

    def test_the_attack_is_real_without_the_gateway(self):
        self.make_calendar()
        direct = Browser(self.upstream_port)
        answer = self.dav(direct, "GET", self.home + "opening.ics", None, ("X_Remote_User", "ada"))
        self.assertIn("UID:opening-night", answer.text)
