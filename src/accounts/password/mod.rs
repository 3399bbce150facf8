//! Passwords: how they are hashed and compared, and what a new one may not be.
//!
//! New hashes are argon2id's. All that Django has ever written is read as well, one file for each
//! scheme; a login replaces it. The key derivation functions are those of established crates.

mod argon2id;
mod bcrypt;
mod common;
mod digest;
mod hasher;
mod memory;
mod pbkdf2;
mod scrypt;
mod stand_in;
mod stored;
mod validators;

pub(super) use hasher::{Comparison, Hasher};
pub(super) use memory::give_back;
pub(super) use stand_in::StandIns;
pub use validators::{Attributes, Validators, Weakness};

use super::AccountsError;

/// What Django's `set_unusable_password` writes: `!` and 40 random characters, so that the mark
/// changes and no two accounts look alike.
pub(super) fn unusable() -> Result<String, AccountsError> {
    let mut random = [0; 20];
    getrandom::fill(&mut random).map_err(|error| AccountsError::Hashing(error.to_string()))?;
    Ok(format!("!{}", bcrypt::hex(&random)))
}

/// Whether a login can be checked against a hash, or it says that no password matches.
pub(super) fn is_understood(encoded: &str) -> bool {
    encoded.starts_with('!') || stored::Stored::parse(encoded).is_some()
}
