//! Users, groups and permissions in a database.
//!
//! [`Directory`] is the whole of it for the gateway: what is known of a user now, whether
//! credentials are right, and the [`Command`]s of operators. A change made here is seen by the
//! next request; one made by another process within a second; one made by nobody knows whom
//! within `users.refresh`.
//!
//! Not here: sessions, which refer to users by number, and the pages on which users log in.

mod answer;
mod audit;
mod browsing;
mod by;
mod by_email;
mod cache;
mod changes;
mod command;
mod database;
mod directory;
pub mod django;
mod encoded;
mod errand;
mod error;
mod execute;
mod fields;
mod hashing;
mod health;
mod load;
mod log;
mod messages;
mod password;
mod profiles;
mod records;
mod registration;
pub mod settings;
mod several;
mod shared;
mod transfer;
mod user_change;
mod user_page;
mod verification;
mod warrant;
mod watch;

pub use answer::{Answer, Complaint, ErrorKind, answer};
pub use browsing::{
    Count, GroupSummary, Named, SeenGroup, SeenUser, UserSearch, UserSort, UsersFound,
};
pub use by::By;
pub use cache::Known;
pub use changes::Changed;
pub use command::{
    Change, Command, GroupDetails, GroupEdit, GroupRecord, Holder, NewUser, Outcome,
    PermissionRecord, Reply, Secret, ShutOut, UserDetails, UserEdit, UserRecord,
};
pub use directory::Directory;
pub use error::{AccountsError, CommandError, nearest};
pub use execute::Names;
pub use execute::browse_holders::Holders;
pub use fields::check_group_name;
pub use health::DatabaseHealth;
pub use log::{Deed, KEEP as KEEP_LOG, LogEntry, LogPage, LogQuery};
pub use messages::{MessageRecord, Queued};
pub use password::{Attributes, Validators, Weakness};
pub use registration::{
    Decided, Invitation, InvitationDigest, InvitationRecord, Invited, NewInvitation,
    NewRegistration, Registered, RegistrationRecord, Waiting,
};
pub use settings::Settings;
pub use transfer::{
    Existing, Exported, GroupEntry, Import, ImportProblem, Imported, PermissionEntry, Promised,
    Record, RecordKind, Tally, UserEntry,
};
pub use user_page::{UserPage, UserQuery};
