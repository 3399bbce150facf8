//! Files of `htpasswd`: `name:hash`, a line for each user.

use std::path::PathBuf;

use base64ct::{Base64, Encoding as _};

use super::source::{self, Source};
use crate::accounts::{Record, Secret, UserEntry};
use crate::cli::Failure;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The file; `-` for standard input
    file: PathBuf,
    /// A group that all of them join; may be given several times
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// Import users whose hash cannot be checked here without a password
    #[arg(long)]
    unusable: bool,
}

pub(super) fn read(arguments: &Arguments) -> Result<Source, Failure> {
    let (name, bytes) = source::read(&arguments.file)?;
    Ok(parse(name, &bytes, &arguments.groups, arguments.unusable))
}

fn parse(name: String, bytes: &[u8], groups: &[String], unusable: bool) -> Source {
    let mut source = Source::named(name);
    for (place, line) in source::lines(bytes, &mut source) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((username, rest)) = line.split_once(':') else {
            source.refuse(place, "the line is not `name:hash`");
            continue;
        };
        // nginx takes a comment behind a second colon.
        let hash = rest.split(':').next().unwrap_or_default();
        let password_hash = match django_form(hash) {
            Ok(hash) => Some(Secret::from(hash)),
            Err(_) if unusable => None,
            Err(why) => {
                source.refuse(place, format!("the hash of `{}` {why}", username.escape_debug()));
                continue;
            }
        };
        let groups = (!groups.is_empty()).then(|| groups.to_vec());
        let entry = UserEntry {
            username: username.to_owned(),
            password_hash,
            groups,
            ..UserEntry::default()
        };
        source.add(place, Record::User(entry));
    }
    source
}

const WITHOUT: &str = "\nhint: `--unusable` imports such users without a password, to be given \
                       another one";

/// The hash as Django writes one that is made in the same way, or why there is none.
fn django_form(hash: &str) -> Result<String, String> {
    let bcrypt = ["$2y$", "$2b$", "$2a$"].into_iter().find_map(|mark| hash.strip_prefix(mark));
    if let Some(rest) = bcrypt {
        // `2y` is what PHP and Apache call `2b`; the hashes are the same.
        return match rest.len() {
            56 => Ok(format!("bcrypt$$2b${rest}")),
            _ => Err("is damaged: it does not look like bcrypt".to_owned()),
        };
    }
    if let Some(digest) = hash.strip_prefix("{SHA}") {
        return match Base64::decode_vec(digest) {
            Ok(digest) if digest.len() == 20 => {
                let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                Ok(format!("sha1$${hex}"))
            }
            Ok(_) | Err(_) => Err("is damaged: it does not look like SHA-1".to_owned()),
        };
    }
    let schemes = [
        ("$apr1$", "Apache's variant of MD5 (apr1)"),
        ("{SSHA}", "salted SHA-1 in LDAP's form"),
        ("$1$", "MD5-crypt"),
        ("$5$", "SHA-256-crypt"),
        ("$6$", "SHA-512-crypt"),
        ("$y$", "yescrypt"),
    ];
    if let Some((_, scheme)) = schemes.iter().find(|(mark, _)| hash.starts_with(mark)) {
        return Err(format!("is {scheme}, which cannot be checked here{WITHOUT}"));
    }
    if hash.is_empty() {
        return Err(format!("is empty{WITHOUT}"));
    }
    Err(format!("is of no form that is known: DES, plain text, or a file of `htdigest`{WITHOUT}"))
}

#[cfg(test)]
mod tests {
    use super::super::source::Place;
    use super::*;

    const BCRYPT: &str = "$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC";

    fn hashes(source: &Source) -> Vec<(String, Option<String>)> {
        let user = |record: &Record| match record {
            Record::User(user) => {
                let hash = serde_json::to_value(&user.password_hash).unwrap();
                (user.username.clone(), hash.as_str().map(str::to_owned))
            }
            Record::Group(_) | Record::Permission(_) => panic!("{record:?}"),
        };
        source.records.iter().map(|placed| user(&placed.record)).collect()
    }

    #[test]
    fn what_apache_and_nginx_write_becomes_what_django_writes() {
        let text = format!(
            "# staff\n\nada:{BCRYPT}\r\nbob:{{SHA}}5en6G6MezRroT3XKqkdPOmY/BfQ=:the builder\n"
        );
        let source = parse("f".to_owned(), text.as_bytes(), &[], false);
        assert_eq!(source.problems, []);
        let bcrypt = format!("bcrypt$$2b${}", &BCRYPT[4..]);
        let sha = "sha1$$e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4".to_owned();
        assert_eq!(
            hashes(&source),
            [("ada".to_owned(), Some(bcrypt)), ("bob".to_owned(), Some(sha))]
        );
        assert_eq!(source.records[1].place, Place::Line(4));
    }

    #[test]
    fn what_cannot_be_checked_is_refused_or_becomes_unusable() {
        let text = "a:$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/\nb:{SHA}short\nc:\nd:plain-secret\n\
                    e\nf:$2y$05$short\ng:realm:939e7578ed9e3c518a452acee763bce9\nh:$6$x$y\n";
        let source = parse("f".to_owned(), text.as_bytes(), &[], false);
        assert_eq!(source.records.len(), 0);
        assert_eq!(source.problems.len(), 8, "{:?}", source.problems);
        let lines: String = source.problems.iter().map(|it| it.line("f") + "\n").collect();
        assert!(lines.starts_with("f:1: the hash of `a` is Apache's variant of MD5 (apr1)"));
        assert!(lines.contains("--unusable"), "{lines}");
        for secret in ["HqJZ", "plain-secret", "short", "939e"] {
            assert!(!lines.contains(secret), "{lines}");
        }
        let groups = ["Readers".to_owned()];
        let source = parse("f".to_owned(), text.as_bytes(), &groups, true);
        assert_eq!(source.problems.len(), 1, "only what is no user at all");
        assert!(hashes(&source).iter().all(|(_, hash)| hash.is_none()));
    }
}
