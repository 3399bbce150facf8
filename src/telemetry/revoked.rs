//! Why an exchange was ended that had begun rightfully.

/// Why something that was open did not stay so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// The visitor logged out, or somebody ended the session.
    Ended,
    /// The session expired, was idle too long or is too old.
    Expired,
    /// The user was deactivated or deleted, or has another password.
    User,
    /// The user has lost what the rule asks for.
    Right,
    /// The configuration was read again, and does not let the visitor pass any more.
    Reload,
    /// It could not be found out in time whether the visitor may still pass.
    Undecided,
}

impl Revoked {
    pub(super) const ALL: [Self; 6] =
        [Self::Ended, Self::Expired, Self::User, Self::Right, Self::Reload, Self::Undecided];

    /// The word for it in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Expired => "expired",
            Self::User => "user",
            Self::Right => "right",
            Self::Reload => "reload",
            Self::Undecided => "undecided",
        }
    }

    /// What a person is told, who may be anybody by now; short enough for a WebSocket's last frame.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Ended => "your session has ended",
            Self::Expired => "your session has expired",
            Self::User => "your account has changed",
            Self::Right | Self::Reload => "you may not see this any more",
            Self::Undecided => "this cannot be checked just now",
        }
    }
}
