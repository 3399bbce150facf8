//! Passwords: how they are hashed and compared, and what a new one may not be.

mod argon2id;
mod common;
mod validators;

pub(super) use argon2id::Argon2id;
pub use validators::{Attributes, Validators, Weakness};
