//! Which pages there are below the prefix, and which methods each takes.

/// One of the pages below the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page<'p> {
    /// What stands below `admin/`.
    Admin(&'p str),
    Home,
    Login,
    Logout,
    PasswordChange,
    PasswordChangeDone,
    PasswordReset,
    PasswordResetDone,
    PasswordResetLink,
    PasswordResetComplete,
    EmailChange,
    EmailChangeDone,
    EmailChangeLink,
    EmailChangeComplete,
    Messages,
    Profile,
    Register,
    RegisterDone,
    /// The link to confirm an address with: the number of the user, and the token.
    RegisterConfirm(&'p str, &'p str),
    /// The form for the bearer of an invitation.
    Invitation(&'p str),
    Sessions,
    Setup(&'p str),
    Stylesheet,
    /// The address of another page without the slash at its end.
    Unfinished,
}

impl<'p> Page<'p> {
    pub(super) fn find(name: &'p str) -> Option<Self> {
        Some(match name {
            "" => Self::Home,
            "login/" => Self::Login,
            "logout/" => Self::Logout,
            "password_change/" => Self::PasswordChange,
            "password_change/done/" => Self::PasswordChangeDone,
            "password_reset/" => Self::PasswordReset,
            "password_reset/done/" => Self::PasswordResetDone,
            "reset/done/" => Self::PasswordResetComplete,
            "email_change/" => Self::EmailChange,
            "email_change/done/" => Self::EmailChangeDone,
            "email_change/complete/" => Self::EmailChangeComplete,
            "messages/" => Self::Messages,
            "profile/" => Self::Profile,
            "register/" => Self::Register,
            "register/done/" => Self::RegisterDone,
            "sessions/" => Self::Sessions,
            "static/style.css" => Self::Stylesheet,
            "admin"
            | "login"
            | "logout"
            | "messages"
            | "password_change"
            | "password_change/done"
            | "password_reset"
            | "email_change"
            | "profile"
            | "register"
            | "sessions" => Self::Unfinished,
            _ if name.starts_with("reset/") => Self::PasswordResetLink,
            _ if name.starts_with("email_change/") => Self::EmailChangeLink,
            _ => {
                if let Some(page) = name.strip_prefix("admin/") {
                    return Some(Self::Admin(page));
                }
                if let Some(rest) = name.strip_prefix("register/") {
                    return Self::find_registration(rest);
                }
                let token = name.strip_prefix("setup/")?;
                Self::Setup(token.strip_suffix('/')?)
            }
        })
    }

    /// What stands below `register/`.
    fn find_registration(rest: &'p str) -> Option<Self> {
        // Programs that make links of what people write leave the last slash out.
        let Some(rest) = rest.strip_suffix('/') else { return Some(Self::Unfinished) };
        Some(match rest.strip_prefix("confirm/") {
            Some(link) => {
                let (user, token) = link.split_once('/')?;
                Self::RegisterConfirm(user, token)
            }
            None => Self::Invitation(rest),
        })
    }

    /// The methods that the page takes, for `Allow`.
    pub(super) fn methods(self) -> &'static str {
        match self {
            Self::Admin(_)
            | Self::Login
            | Self::Logout
            | Self::PasswordChange
            | Self::PasswordReset
            | Self::PasswordResetLink
            | Self::EmailChange
            | Self::EmailChangeLink
            | Self::Register
            | Self::RegisterConfirm(..)
            | Self::Invitation(_)
            | Self::Profile
            | Self::Sessions
            | Self::Setup(_) => "GET, HEAD, POST",
            Self::Home
            | Self::PasswordChangeDone
            | Self::PasswordResetDone
            | Self::PasswordResetComplete
            | Self::EmailChangeDone
            | Self::EmailChangeComplete
            | Self::RegisterDone
            | Self::Messages
            | Self::Stylesheet
            | Self::Unfinished => "GET, HEAD",
        }
    }
}
