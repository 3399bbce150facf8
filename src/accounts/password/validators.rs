//! What a new password may not be: Django's `AUTH_PASSWORD_VALIDATORS`, in Django's words.

use std::collections::HashMap;
use std::fmt;

use super::common;
use crate::domain::User;
use crate::domain::password::MAX_PASSWORD_LENGTH;

/// Which properties of a new password are looked at; the file's `[passwords]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validators {
    /// The fewest characters; 0 counts as 1.
    pub min_length: usize,
    /// Whether it may not be like the user's name or address.
    pub similarity: bool,
    /// Whether it may not be one of the 20,000 most common.
    pub common: bool,
    /// Whether it may not be all digits.
    pub numeric: bool,
}

/// What is known of the user whose password it will be; an empty text is like nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The name to log in with.
    pub username: String,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// E-mail address.
    pub email: String,
}

/// Why a password is not taken. `Display` says it to the person who chose it, as Django does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// It has more bytes than are ever looked at.
    TooLong,
    /// It is like an attribute of the user, which is named as on Django's forms.
    TooSimilar(&'static str),
    /// It has fewer characters than this.
    TooShort(usize),
    /// It is one of the most common.
    TooCommon,
    /// It has nothing but digits.
    EntirelyNumeric,
}

/// From how much likeness on a password counts as similar: Django's `max_similarity`.
const MAX_SIMILARITY: f64 = 0.7;

impl Default for Validators {
    /// What the settings of a new Django project say.
    fn default() -> Self {
        Self { min_length: 8, similarity: true, common: true, numeric: true }
    }
}

impl Validators {
    /// Checks a new password of the user who is described; all that is wrong with it is told at
    /// once, in the order of Django's default settings.
    pub fn check(&self, password: &str, about: &Attributes) -> Result<(), Vec<Weakness>> {
        if password.len() > MAX_PASSWORD_LENGTH {
            return Err(vec![Weakness::TooLong]);
        }
        let mut found = Vec::new();
        if self.similarity {
            found.extend(about.most_like(password).map(Weakness::TooSimilar));
        }
        if password.chars().count() < self.min_length() {
            found.push(Weakness::TooShort(self.min_length()));
        }
        if self.common && common::is_common(password) {
            found.push(Weakness::TooCommon);
        }
        // Python's `isdigit` knows a few numerals less, as fractions and those of the Romans.
        if self.numeric && !password.is_empty() && password.chars().all(char::is_numeric) {
            found.push(Weakness::EntirelyNumeric);
        }
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    /// What a form says beside its field, as Django's `password_validators_help_texts`.
    pub fn help_texts(&self) -> Vec<String> {
        let length = characters(self.min_length());
        let texts = [
            (
                self.similarity,
                "Your password can’t be too similar to your other personal information.".to_owned(),
            ),
            (true, format!("Your password must contain at least {length}.")),
            (self.common, "Your password can’t be a commonly used password.".to_owned()),
            (self.numeric, "Your password can’t be entirely numeric.".to_owned()),
        ];
        texts.into_iter().filter_map(|(applies, text)| applies.then_some(text)).collect()
    }

    fn min_length(&self) -> usize {
        self.min_length.max(1)
    }
}

impl Weakness {
    /// The `code` of Django's `ValidationError`.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLong => "password_too_long",
            Self::TooSimilar(_) => "password_too_similar",
            Self::TooShort(_) => "password_too_short",
            Self::TooCommon => "password_too_common",
            Self::EntirelyNumeric => "password_entirely_numeric",
        }
    }
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(
                f,
                "This password is too long. It must contain at most {MAX_PASSWORD_LENGTH} bytes."
            ),
            Self::TooSimilar(attribute) => {
                write!(f, "The password is too similar to the {attribute}.")
            }
            Self::TooShort(least) => write!(
                f,
                "This password is too short. It must contain at least {}.",
                characters(*least)
            ),
            Self::TooCommon => f.write_str("This password is too common."),
            Self::EntirelyNumeric => f.write_str("This password is entirely numeric."),
        }
    }
}

impl From<&User> for Attributes {
    fn from(user: &User) -> Self {
        Self {
            username: user.username.clone(),
            first_name: user.first_name.clone(),
            last_name: user.last_name.clone(),
            email: user.email.clone(),
        }
    }
}

impl Attributes {
    /// The first attribute that the password is like, as Django's `UserAttributeSimilarityValidator`
    /// finds it: like the whole of it, or like one of the words in it.
    fn most_like(&self, password: &str) -> Option<&'static str> {
        let password: Vec<char> = password.to_lowercase().chars().collect();
        let attributes = [
            ("username", &self.username),
            ("first name", &self.first_name),
            ("last name", &self.last_name),
            ("email address", &self.email),
        ];
        let is_like = |value: &str| {
            let value = value.to_lowercase();
            let words = value.split(|c: char| !c.is_alphanumeric() && c != '_');
            words.chain([value.as_str()]).any(|word| {
                let word: Vec<char> = word.chars().collect();
                is_comparable(password.len(), word.len())
                    && quick_ratio(&password, &word) >= MAX_SIMILARITY
            })
        };
        let mut known = attributes.into_iter().filter(|(_, value)| !value.is_empty());
        known.find(|(_, value)| is_like(value)).map(|(name, _)| name)
    }
}

/// Django's `exceeds_maximum_length_ratio`, the other way round: what is so much shorter than the
/// password cannot be like it, and need not be looked at.
#[expect(clippy::cast_precision_loss, reason = "lengths of texts are exact in a double")]
fn is_comparable(password: usize, value: usize) -> bool {
    password < 10 * value || value as f64 >= MAX_SIMILARITY / 2.0 * password as f64
}

/// The `quick_ratio` of Python's `difflib.SequenceMatcher`: twice the characters that both texts
/// have, in any order, among all characters of both; two empty texts are the same.
#[expect(clippy::cast_precision_loss, reason = "lengths of texts are exact in a double")]
fn quick_ratio(a: &[char], b: &[char]) -> f64 {
    let length = a.len() + b.len();
    if length == 0 {
        return 1.0;
    }
    let mut available: HashMap<char, usize> = HashMap::new();
    for character in b {
        *available.entry(*character).or_default() += 1;
    }
    let matches = a.iter().filter(|character| match available.get_mut(character) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        Some(_) | None => false,
    });
    2.0 * matches.count() as f64 / length as f64
}

fn characters(count: usize) -> String {
    if count == 1 { "1 character".to_owned() } else { format!("{count} characters") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> Attributes {
        Attributes {
            username: "ada.lovelace".to_owned(),
            first_name: "Ada".to_owned(),
            last_name: "Lovelace".to_owned(),
            email: "countess@example.org".to_owned(),
        }
    }

    fn words(password: &str) -> Vec<String> {
        let found = Validators::default().check(password, &ada()).err().unwrap_or_default();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once_in_the_words_of_django() {
        assert_eq!(words("lantern-gravel-4711"), [""; 0]);
        assert_eq!(
            words("12345"),
            [
                "This password is too short. It must contain at least 8 characters.",
                "This password is too common.",
                "This password is entirely numeric.",
            ]
        );
        assert_eq!(words("Lovelace"), ["The password is too similar to the username."]);
        assert_eq!(words("xcountess1"), ["The password is too similar to the email address."]);
        assert_eq!(
            words(&"é".repeat(2049))[0].split('.').next(),
            Some("This password is too long")
        );
        assert_eq!(
            Weakness::TooShort(1).to_string(),
            "This password is too short. It must contain at least 1 character."
        );
    }

    #[test]
    fn each_validator_can_be_off_except_that_nothing_is_no_password() {
        let off = Validators { min_length: 0, similarity: false, common: false, numeric: false };
        for password in ["1", "password", "lovelace"] {
            assert_eq!(off.check(password, &ada()), Ok(()), "{password}");
        }
        assert_eq!(off.check("", &ada()), Err(vec![Weakness::TooShort(1)]));
        assert_eq!(off.help_texts(), ["Your password must contain at least 1 character."]);
        assert_eq!(Validators::default().help_texts().len(), 4);
    }

    #[test]
    fn nothing_is_like_a_user_of_whom_nothing_is_known() {
        for password in ["", "x", "lantern-gravel"] {
            assert_eq!(Attributes::default().most_like(password), None, "{password}");
        }
    }

    #[test]
    fn ratios_are_those_of_difflib() {
        // From Python's `SequenceMatcher(None, a, b).quick_ratio()`.
        let ratio = |a: &str, b: &str| {
            let of = |text: &str| text.chars().collect::<Vec<_>>();
            format!("{:.6}", quick_ratio(&of(a), &of(b)))
        };
        assert_eq!(ratio("", ""), "1.000000");
        assert_eq!(ratio("abcd", "bcde"), "0.750000");
        assert_eq!(ratio("aab", "ab"), "0.800000");
        assert_eq!(ratio("ada", "adalovelace"), "0.428571");
        assert_eq!(ratio("straße", "strasse"), "0.769231");
    }

    #[test]
    fn lengths_are_compared_as_by_django() {
        assert!(is_comparable(8, 1) && is_comparable(9, 3) && is_comparable(0, 1));
        assert!(!is_comparable(8, 0) && !is_comparable(10, 1) && !is_comparable(100, 10));
    }
}
