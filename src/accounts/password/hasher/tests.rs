//! Hashes of every scheme: those that real Django made, damaged ones, and ones that mean harm.

use proptest::prelude::*;

use super::*;

/// What `tests/golden/passwords/make.py` had real Django write.
const VECTORS: &str = include_str!("../../../../tests/golden/passwords/vectors.txt");

struct Vector {
    hasher: &'static str,
    password: String,
    matches: bool,
    encoded: &'static str,
}

fn vectors() -> Vec<Vector> {
    let vector = |line: &'static str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [_, hasher, password, matches, encoded] = columns[..] else { panic!("{line}") };
        let password = serde_json::from_str(password).unwrap();
        Vector { hasher, password, matches: matches == "true", encoded }
    };
    VECTORS.lines().map(vector).collect()
}

fn hasher() -> Hasher {
    Hasher::new(&Hashing { memory_kib: 8, iterations: 1, parallelism: 1 }).unwrap()
}

fn matches(password: &str, encoded: &str) -> bool {
    let hasher = hasher();
    let comparison = Comparison { hasher: &hasher, stand_in: None };
    comparison.matches(password, &PasswordHash::from_encoded(encoded))
}

#[test]
fn what_django_hashed_matches_where_django_says_so_and_nowhere_else() {
    let vectors = vectors();
    for vector in &vectors {
        let Vector { hasher, password, encoded, .. } = vector;
        assert_eq!(matches(password, encoded), vector.matches, "{hasher} {password:?} {encoded}");
    }
    let mut matched: Vec<&str> = vectors.iter().filter(|v| v.matches).map(|v| v.hasher).collect();
    matched.sort_unstable();
    matched.dedup();
    assert_eq!(
        matched,
        [
            "Argon2PasswordHasher",
            "BCryptPasswordHasher",
            "BCryptSHA256PasswordHasher",
            "MD5PasswordHasher",
            "PBKDF2PasswordHasher",
            "PBKDF2SHA1PasswordHasher",
            "SHA1PasswordHasher",
            "ScryptPasswordHasher",
            "UnsaltedMD5PasswordHasher",
            "UnsaltedSHA1PasswordHasher",
        ]
    );
}

#[test]
fn every_old_hash_is_replaced_once_and_its_sessions_go_on_unless_it_was_cheap_to_guess() {
    let hasher = hasher();
    for Vector { hasher: name, password, encoded, .. } in vectors().iter().filter(|v| v.matches) {
        let old = PasswordHash::from_encoded(*encoded);
        let renewed = hasher.renew(password, &old).unwrap().unwrap();
        assert!(renewed.starts_with("argon2$argon2id$v=19$m=8,t=1,p=1$"), "{renewed}");
        // Django's column has no more.
        assert!(renewed.len() <= 128, "{renewed}");
        assert!(matches(password, &renewed) && !matches("Letmein", &renewed), "{encoded}");
        let renewed = PasswordHash::from_encoded(renewed);
        let is_cheap = ["MD5", "SHA1P"].iter().any(|cheap| name.contains(cheap))
            && !name.contains("PBKDF2")
            || name.starts_with("Unsalted")
            || encoded.contains("$a1b2c$");
        assert_eq!(renewed.mark() == old.mark(), !is_cheap, "{name} {encoded}");
        assert_eq!(hasher.renew(password, &renewed).unwrap(), None, "{encoded}");
    }
}

#[test]
fn a_hash_of_another_cost_is_replaced_and_one_of_the_same_is_not() {
    let own = PasswordHash::from_encoded(hasher().encode("x").unwrap());
    assert_eq!(hasher().renew("x", &own).unwrap(), None);
    for (memory_kib, iterations, parallelism) in [(16, 1, 1), (8, 2, 1), (16, 1, 2)] {
        let dearer = Hasher::new(&Hashing { memory_kib, iterations, parallelism }).unwrap();
        let renewed = PasswordHash::from_encoded(dearer.renew("x", &own).unwrap().unwrap());
        assert_eq!(renewed.mark(), own.mark());
        let back = PasswordHash::from_encoded(hasher().renew("x", &renewed).unwrap().unwrap());
        assert_eq!(back.mark(), own.mark(), "and back again");
        assert_ne!(back, own);
    }
}

#[test]
fn no_hash_costs_less_than_a_new_one() {
    let configured = Hasher::new(&Hashing::default()).unwrap().argon2id.work();
    let missing = |encoded: &str| {
        configured.saturating_sub(Stored::parse(encoded).unwrap().work()) * 100 / configured
    };
    let hash = "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    let argon2 = |cost: &str| format!("argon2$argon2id$v=19${cost}$c29tZXNhbHQ${hash}");
    assert_eq!(missing(&argon2("m=19456,t=2,p=1")), 0);
    assert_eq!(missing(&argon2("m=102400,t=2,p=8")), 0);
    assert_eq!(missing(&argon2("m=9728,t=2,p=1")), 50);
    assert_eq!(missing("md5$salt$0d107d09f5bbe40cade3de5c71e9e9b7"), 100);
    assert_eq!(missing("0d107d09f5bbe40cade3de5c71e9e9b7"), 100);
    for vector in vectors().iter().filter(|v| v.matches) {
        let is_of_full_cost = ["$600000$", "$1000000$", "$2b$12$", "scrypt$16384$"]
            .iter()
            .any(|cost| vector.encoded.contains(cost));
        if is_of_full_cost {
            assert_eq!(missing(vector.encoded), 0, "{}", vector.encoded);
        }
    }
}

#[test]
fn whatever_is_cut_off_or_added_matches_nothing() {
    let cheap = vectors().into_iter().filter(|v| {
        let is_dear = ["$600000$", "$1000000$", "$2b$12$", "scrypt$16384$", "m=102400"];
        v.matches && v.password == "letmein" && !is_dear.iter().any(|d| v.encoded.contains(d))
    });
    for Vector { encoded, .. } in cheap {
        assert!(matches("letmein", encoded));
        for cut in (0..encoded.len()).filter(|&cut| encoded.is_char_boundary(cut)) {
            let rest = &encoded[cut..];
            // What is left of an unsalted hash without its scheme is one too.
            assert!(!matches("letmein", &encoded[..cut]), "{encoded} {cut}");
            let is_bare = encoded.starts_with("md5$$") && rest.len() == 32;
            assert!(cut == 0 || is_bare || !matches("letmein", rest), "{encoded} {cut}");
        }
        for more in ["$", "=", " ", "\0", "A", "é"] {
            assert!(!matches("letmein", &format!("{encoded}{more}")), "{encoded}{more}");
            assert!(!matches("letmein", &format!("{more}{encoded}")), "{more}{encoded}");
        }
        assert!(!matches("letmein", &encoded.to_uppercase()), "{encoded}");
    }
}

#[test]
fn costs_that_would_bring_us_down_are_not_paid() {
    let sha256 = "CHbf0e02kkw1/XPNyJ0+1tvjSVwFmNTEVAiT23CBmK0=";
    let scrypt =
        "dDnfnOEulcdjEL7AUlB6GdAaobxJq7pl8QyaDItB2GpEDrQrqJerin3L674osySUeSoAhIhAi4PpUu0+jh4PyQ==";
    let bcrypt = "ZdCN1V3Jgjm0ZvwUJD/7a.VtHNXpct8Q39Nmndi5srpkABbVMkqCq";
    assert!(Stored::parse(&format!("pbkdf2_sha256$10000000$salt${sha256}")).is_some());
    assert!(Stored::parse(&format!("scrypt$131072$salt$8$1${scrypt}")).is_some());
    assert!(Stored::parse(&format!("bcrypt$$2b$16${bcrypt}")).is_some());
    let mut hostile: Vec<String> = Vec::new();
    for iterations in ["0", "10000001", "4294967295", "4294967296", "-1", "+1000", " 1", "1e3", ""]
    {
        hostile.push(format!("pbkdf2_sha256${iterations}$salt${sha256}"));
    }
    hostile.push(format!("pbkdf2_sha1$1000$salt${sha256}"));
    hostile.push(format!("pbkdf2_sha256$1000$${sha256}"));
    hostile.push(format!("pbkdf2_sha512$1000$salt${sha256}"));
    for cost in [
        "0$salt$8$1",
        "1$salt$8$1",
        "3$salt$8$1",
        "16385$salt$8$1",
        "1073741824$salt$8$1",
        "2147483648$salt$1$1",
        "262144$salt$16$1",
        "16384$salt$0$1",
        "16384$salt$8$0",
        "16384$salt$65$1",
        "2$salt$1$65",
        "131072$salt$8$64",
        "16384$salt$4294967295$1",
        "16384$salt$65536$65536",
        "16384$$8$1",
        "+16384$salt$8$1",
    ] {
        hostile.push(format!("scrypt${cost}${scrypt}"));
    }
    for version in
        ["$2b$17$", "$2b$31$", "$2b$99$", "$2b$03$", "$2b$+5$", "$2x$04$", "$2$04$", "$2b$4$"]
    {
        hostile.push(format!("bcrypt${version}{bcrypt}"));
        hostile.push(format!("bcrypt_sha256${version}{bcrypt}"));
    }
    hostile.push(format!("bcrypt$$2b$é4${bcrypt}"));
    hostile.push(format!("bcrypt$$2b$04${}é", &bcrypt[..51]));
    hostile.push("z".repeat(32));
    hostile.push(format!("md5${}$0d107d09f5bbe40cade3de5c71e9e9b7", "s".repeat(2000)));
    hostile.push("crypt$$ab1234567890A".to_owned());
    for encoded in hostile {
        assert!(Stored::parse(&encoded).is_none(), "{encoded}");
        assert!(!matches("letmein", &encoded), "{encoded}");
    }
}

#[test]
fn whoever_is_not_there_costs_what_the_stand_in_costs() {
    // It is compared in earnest, and the outcome is nobody's.
    let hasher = hasher();
    let stand_in = PasswordHash::from_encoded(hasher.encode("letmein").unwrap());
    let comparison = Comparison { hasher: &hasher, stand_in: Some(&stand_in) };
    assert!(!comparison.matches("letmein", &PasswordHash::from_encoded("!")));
    assert!(!comparison.matches("letmein", &PasswordHash::from_encoded("md5$")));
    comparison.pretend("letmein");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_password_matches_its_own_hash_alone(password in ".{1,200}", other in ".{0,200}") {
        let encoded = hasher().encode(&password).unwrap();
        prop_assert!(matches(&password, &encoded));
        prop_assert_eq!(matches(&other, &encoded), other == password);
        let old = PasswordHash::from_encoded(encoded);
        prop_assert_eq!(hasher().renew(&password, &old).unwrap(), None);
    }

    #[test]
    fn no_text_in_the_place_of_a_hash_does_any_harm(
        scheme in "(argon2|pbkdf2_sha256|pbkdf2_sha1|bcrypt|bcrypt_sha256|scrypt|sha1|md5|!|)",
        rest in prop::collection::vec("(\\PC{0,12}|[0-9]{1,4}|\\$2b\\$04|m=[0-9]{1,3}|[A-Za-z0-9+/=.]{0,90})", 0..7),
    ) {
        let encoded = format!("{scheme}${}", rest.join("$"));
        prop_assert!(!matches("letmein", &encoded));
    }
}
