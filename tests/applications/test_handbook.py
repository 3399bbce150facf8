"""The handbook shows the very configuration that these tests run with."""

import re
import unittest

from support import HERE

ROOT = HERE.parent.parent
HANDBOOK = ROOT / "handbook"

# A comment that names a file, and the block of code that follows it.
SHOWN = re.compile(r"<!-- file: (\S+) -->\n+```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Handbook(unittest.TestCase):
    def test_each_page_shows_the_tested_files(self):
        for application, files in {
            "django": ["vestibule.toml", "polls_site/vestibule.py"],
            "radicale": ["vestibule.toml", "radicale.conf"],
            "nginx": ["vestibule.toml", "site.conf"],
            "dokuwiki": [
                "vestibule.toml",
                "authvestibule/auth.php",
                "authvestibule/plugin.info.txt",
                "local.php",
                "acl.auth.php",
                "site.conf",
            ],
        }.items():
            page = (HANDBOOK / f"{application}.md").read_text()
            shown = dict(SHOWN.findall(page))
            for file in files:
                path = f"tests/applications/{application}/{file}"
                self.assertIn(path, shown, f"{application}.md does not show {path}")
                self.assertEqual(shown[path], (ROOT / path).read_text(), path)

    def test_every_link_leads_somewhere(self):
        pages = [*HANDBOOK.glob("*.md"), *ROOT.glob("*.md")]
        self.assertGreater(len(pages), 5)
        for page in pages:
            text = page.read_text()
            anchors = {page: anchors_of(text)}
            for target in re.findall(r"\]\(([^)\s]+)\)", text):
                if re.match("[a-z]+:", target):
                    continue
                file, _, anchor = target.partition("#")
                path = (page.parent / file).resolve() if file else page
                self.assertTrue(path.exists(), f"{page.name}: {target}")
                if anchor:
                    known = anchors.get(path) or anchors_of(path.read_text())
                    self.assertIn(anchor, known, f"{page.name}: {target}")


def anchors_of(text):
    """The anchors of the headings, as Markdown's readers on the web make them."""
    headings = re.findall("^#+ (.*)$", text, re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in words}
