//! Taking over the sessions of another store.

use super::{Kept, Record, Sessions, Unavailable};
use crate::domain::SessionKey;

impl Sessions {
    /// About how many sessions there are, for whoever walks over all of them.
    pub async fn count(&self) -> Result<u64, Unavailable> {
        match &self.kept {
            Kept::Here(local) => Ok(u64::try_from(local.map().len()).unwrap_or(u64::MAX)),
            Kept::Shared(shared) => shared.count().await,
        }
    }

    /// Takes over sessions of another store, with their keys; says how many were new, or seen
    /// later than what was here. They are kept when it returns.
    ///
    /// A few hundred at a time: as many are under way at once.
    pub async fn import(&self, sessions: &[(SessionKey, Record)]) -> Result<usize, Unavailable> {
        match &self.kept {
            Kept::Here(local) => local.import(sessions).await,
            Kept::Shared(shared) => shared.import(sessions).await,
        }
    }
}
