//! Passwords on their way in: from standard input or a terminal, never from the arguments, which
//! every user of the machine can read.

use std::io::{self, BufRead};

use super::Failure;
use crate::accounts::Secret;
use crate::domain::password::MAX_PASSWORD_LENGTH;

/// Reads one line of standard input, or asks twice on the terminal.
pub(super) fn read(from_stdin: bool) -> Result<Secret, Failure> {
    if from_stdin { read_line(io::stdin().lock()) } else { ask() }
}

fn read_line(input: impl BufRead) -> Result<Secret, Failure> {
    let failed = |error: io::Error| Failure::No(format!("standard input: {error}"));
    let mut line = Vec::new();
    // One byte more than can be right, so that a password that is too long is not cut to fit.
    let limit = MAX_PASSWORD_LENGTH as u64 + 3;
    input.take(limit).read_until(b'\n', &mut line).map_err(failed)?;
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    if line.is_empty() {
        let message = "there is no password on standard input\nhint: write it there, as one line";
        return Err(Failure::No(message.to_owned()));
    }
    let password = String::from_utf8(line);
    password.map(Secret::from).map_err(|_| Failure::No("the password is not UTF-8".to_owned()))
}

fn ask() -> Result<Secret, Failure> {
    let prompt = |text| {
        rpassword::prompt_password(text).map_err(|error| {
            Failure::No(format!(
                "the password cannot be asked for: {error}\nhint: `--password-stdin` reads it from standard input"
            ))
        })
    };
    let password = prompt("Password: ")?;
    if prompt("Password (again): ")? != password {
        return Err(Failure::No("the two passwords are not the same".to_owned()));
    }
    Ok(Secret::from(password))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &str) -> Option<String> {
        let secret = read_line(input.as_bytes()).ok()?;
        Some(serde_json::to_value(secret).unwrap().as_str().unwrap().to_owned())
    }

    #[test]
    fn one_line_is_read_and_only_its_end_is_cut_off() {
        assert_eq!(read("let me in \n").as_deref(), Some("let me in "));
        assert_eq!(read("letmein\r\nmore\n").as_deref(), Some("letmein"));
        assert_eq!(read("letmein").as_deref(), Some("letmein"));
        assert_eq!(read(""), None);
        assert_eq!(read("\n"), None);
    }

    #[test]
    fn what_is_too_long_stays_too_long() {
        let long = "x".repeat(10_000) + "\n";
        assert!(read(&long).unwrap().len() > MAX_PASSWORD_LENGTH);
        let longest = "x".repeat(MAX_PASSWORD_LENGTH);
        assert_eq!(read(&format!("{longest}\r\n")), Some(longest));
    }
}
