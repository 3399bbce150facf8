//! Passwords that everybody tries first.

/// The 20,000 most common passwords in the list that Django ships with its
/// `CommonPasswordValidator`, made by Royce Williams: in lower case, each once, sorted by bytes.
/// `common_passwords.LICENSE` beside it is Django's licence.
const LIST: &str = include_str!("common_passwords.txt");

/// Whether this is one of the most common passwords, in whatever case it is written.
pub(super) fn is_common(password: &str) -> bool {
    holds(LIST, password.to_lowercase().trim())
}

/// Whether `word` is a line of `list`, which is sorted: found where it stands, without a table
/// that would be kept in memory for the few passwords that are ever chosen.
fn holds(list: &str, word: &str) -> bool {
    let list = list.as_bytes();
    let (mut low, mut high) = (0, list.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let is_end = |byte: &u8| *byte == b'\n';
        let start = list[low..middle].iter().rposition(is_end).map_or(low, |at| low + at + 1);
        let end = list[middle..high].iter().position(is_end).map_or(high, |at| middle + at);
        match list[start..end].cmp(word.as_bytes()) {
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start,
            std::cmp::Ordering::Equal => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_each_of_its_lines_is_found() {
        let lines: Vec<&str> = LIST.lines().collect();
        assert_eq!(lines.len(), 19_640);
        assert!(lines.is_sorted_by(|a, b| a.as_bytes() < b.as_bytes()));
        for line in lines {
            assert!(is_common(line), "{line}");
            assert_eq!(line, line.to_lowercase().trim());
        }
    }

    #[test]
    fn case_and_space_around_make_no_password_rare() {
        for common in ["password", "PassWord", " letmein\t", "Пароль", "123456"] {
            assert!(is_common(common), "{common}");
        }
        for rare in ["", "\n", "password\n123456", "lantern-gravel-4711", "passwo", "я\u{10ffff}"]
        {
            assert!(!is_common(rare), "{rare:?}");
        }
    }

    #[test]
    fn short_lists_are_searched_to_their_ends() {
        for (list, word, found) in
            [("", "a", false), ("\n", "", true), ("a\n", "a", true), ("b\n", "a", false)]
        {
            assert_eq!(holds(list, word), found, "{list:?} {word:?}");
        }
        for word in ["aa", "b", "ccc"] {
            assert!(holds("aa\nb\nccc\n", word));
            assert!(!holds("aa\nb\nccc\n", &word[1..]), "{word}");
        }
    }
}
