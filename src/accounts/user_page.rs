//! Looking for users among many: what can be asked, and a page of those who were found.

use serde::{Deserialize, Serialize};

use super::command::UserRecord;

/// Whom to look for. All conditions have to hold; the default finds everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserQuery {
    /// Words; each has to be part of the user name, the first or last name or the e-mail address,
    /// whatever the case of its letters.
    pub search: String,
    /// Those who may log in, or may not.
    pub is_active: Option<bool>,
    /// Those who may enter the administration, or may not.
    pub is_staff: Option<bool>,
    /// Those who have every permission, or have not.
    pub is_superuser: Option<bool>,
    /// Members of this group.
    pub group: Option<String>,
    /// Users whose names come after this one, as they are sorted; for going on without counting.
    pub after: Option<String>,
    /// Which page, from 1; 0 is the first one too.
    pub page: u64,
    /// How many users a page has, 1 to 1000; 0 stands for 100.
    pub limit: u64,
}

impl UserQuery {
    /// The most users on a page.
    pub const MOST: u64 = 1_000;

    /// How many users a page has.
    pub fn page_size(&self) -> u64 {
        if self.limit == 0 { 100 } else { self.limit.min(Self::MOST) }
    }

    /// The number of the page, from 1.
    pub fn page_number(&self) -> u64 {
        self.page.max(1)
    }
}

/// Some of the users who were found, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserPage {
    /// Those on this page.
    pub users: Vec<UserRecord>,
    /// How many were found, on all pages.
    pub total: u64,
    /// Which page this is, from 1.
    pub page: u64,
    /// How many pages there are, at least 1.
    pub pages: u64,
}
