//! The memory in which argon2 works, much of it for a moment.
//!
//! A thread that goes from one password to the next keeps it, since to get it from the system
//! takes about as long as a fifth of the hash. A thread that has nothing to do gives it back.

use std::cell::RefCell;

use argon2::{Argon2, Block, Error};

thread_local! {
    static KEPT: RefCell<Vec<Block>> = const { RefCell::new(Vec::new()) };
}

/// In blocks of 1 KiB; what one extraordinary hash took is given back with it.
const MOST_KEPT: usize = 128 * 1024;

/// Computes a hash in this thread's memory.
pub(super) fn hash(
    argon2: &Argon2<'_>,
    password: &str,
    salt: &[u8],
    out: &mut [u8],
) -> Result<(), Error> {
    let count = argon2.params().block_count();
    KEPT.with_borrow_mut(|blocks| {
        if blocks.len() < count {
            // What is in it is of no use, and need not be copied.
            *blocks = Vec::new();
            blocks.try_reserve_exact(count).map_err(|_| Error::OutOfMemory)?;
            blocks.resize(count, Block::new());
        }
        let memory = &mut blocks[..count];
        let outcome = argon2.hash_password_into_with_memory(password.as_bytes(), salt, out, memory);
        if blocks.len() > MOST_KEPT {
            *blocks = Vec::new();
        }
        outcome
    })
}

/// Gives back what this thread kept.
pub(in super::super) fn give_back() {
    KEPT.set(Vec::new());
}

#[cfg(test)]
mod tests {
    use argon2::{Algorithm, Params, Version};

    use super::*;

    fn kept() -> usize {
        KEPT.with_borrow(Vec::len)
    }

    fn of(memory_kib: u32) -> [u8; 32] {
        let cost = Params::new(memory_kib, 1, 1, Some(32)).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost);
        let mut out = [0; 32];
        hash(&argon2, "letmein", b"saltsalt", &mut out).unwrap();
        let mut alone = [1; 32];
        argon2.hash_password_into(b"letmein", b"saltsalt", &mut alone).unwrap();
        assert_eq!(out, alone, "what was in the memory before makes no difference");
        out
    }

    #[test]
    fn memory_is_used_again_and_given_back() {
        let first = of(64);
        assert_eq!(kept(), 64);
        assert_ne!(of(16), first);
        assert_eq!((of(64), kept()), (first, 64));
        of(128);
        assert_eq!(kept(), 128);
        give_back();
        assert_eq!(kept(), 0);
        assert_eq!(of(64), first);
        of(129 * 1024);
        assert_eq!(kept(), 0);
    }
}
