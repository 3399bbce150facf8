//! What an import brings must be something that a login can be checked against.

use super::password;

/// What hashes begin with that are understood.
const SCHEMES: &str =
    "argon2, pbkdf2_sha256, pbkdf2_sha1, bcrypt_sha256, bcrypt, scrypt, sha1, md5";

/// Says what is wrong with the hash of a password, without a word of it.
pub(super) fn check(encoded: &str) -> Result<(), String> {
    if password::is_understood(encoded) && !encoded.contains(char::is_control) {
        return Ok(());
    }
    let scheme = encoded.split('$').next().unwrap_or_default();
    if SCHEMES.split(", ").any(|known| known == scheme) {
        return Err(format!("the hash of the password is damaged, or not really {scheme}"));
    }
    Err(format!(
        "the hash of the password is of no form that can be checked\n\
         hint: it may be one of Django's: {SCHEMES}, or `!` for none"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_djangos_is_taken_and_nothing_else() {
        let bcrypt = "$2b$12$KhHOBnIVBnKtSLrFzcQ2Lu2Q9h3cYN2jTUxjOjBPmyzhKrMXKHBHu";
        for good in [
            "argon2$argon2id$v=19$m=102400,t=2,p=8$Y041dExhNkljRUUy$TMa6A8fPJhCAUXRhJXCXdw",
            "pbkdf2_sha256$1000000$seasalt$r1uLUxoxpP2Ued/qxvmje7UH9PUJBkRrvf9gGPL7Cps=",
            "pbkdf2_sha1$1000000$seasalt$3R9hvSAiAy5ARspAFy5GJ/2rjXo=",
            &format!("bcrypt_sha256${bcrypt}"),
            &format!("bcrypt${bcrypt}"),
            "scrypt$16384$seasalt$8$1$Qj3+9PPyRjSJIebHnG81TMjsqtaIGxNQG/aEB/NYafTJ7tibgfYz71m0ldQESkXFRkdVCBhhY8mx7rQwite/Pw==",
            "sha1$seasalt$cff36ea83f5706ce9aa7454e63e431fc726b2dc8",
            "sha1$$6d138ca3ae545631b3abd71a4f076ce759c5700b",
            "md5$seasalt$3f86d0d3d465b7b458c231bf3555c0e3",
            "md5$$88a434c88cca4e900f7874cd98123f43",
            "88a434c88cca4e900f7874cd98123f43",
            "!",
            "!nobody",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "letmein",
            "$apr1$x$y",
            "sha1$seasalt$cff3",
            "md5$3f86d0d3d465b7b458c231bf3555c0e3",
            "bcrypt$2b$12$x",
            "pbkdf2_sha256$1000000$seasalt$",
            "sha1$a\nb$cff36ea83f5706ce9aa7454e63e431fc726b2dc8",
        ] {
            let wrong = check(bad).unwrap_err();
            assert!(bad.len() < 6 || !wrong.contains(bad), "{wrong}");
        }
    }
}
