//! Every answer that the gateway gives instead of the application's, sorted by blame.
//!
//! The blame decides the status and how loudly the log speaks. What is told to the client is in
//! [`Refusal::title`] and [`Refusal::advice`], and is less than what is logged.

use http::StatusCode;

use crate::domain::path::{MalformedPath, Oddity};

/// Why a request gets an answer of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The visitor has to log in first. For those that cannot be redirected, 401.
    LogIn,
    /// The visitor is signed in, or logging in would not help, and has no right.
    Denied,
    /// The path has no safe reading.
    MalformedPath(MalformedPath),
    /// The path has something in it that no rule allows here.
    OddPath(Oddity),
    /// The readings of the path lead to different applications.
    AmbiguousPath,
    /// The request is malformed in another way; the text says how, for the log.
    MalformedRequest(&'static str),
    /// The method is one that no request may have here.
    Method,
    /// `Expect` names something other than `100-continue`.
    Expectation,
    /// The body is larger than the rule allows.
    BodyTooLarge,
    /// The body came too slowly.
    BodyTimeout,
    /// No site has this name.
    UnknownSite,
    /// None of the gateway's own pages has this address.
    NoSuchPage,
    /// The application could not be reached, or its answer was no answer; the text is for the log.
    BadGateway(String),
    /// The application took too long; the text says over what, for the log.
    GatewayTimeout(&'static str),
    /// Something that the answer depends on cannot be asked just now; the text is for the log.
    Unavailable(String),
    /// As [`Unavailable`](Self::Unavailable), where the log tells of the cause once, and not for
    /// every request.
    Outage(String),
    /// We or the operator made a mistake; the text is for the log.
    Broken(String),
}

/// Who has to do something about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Whoever sent the request.
    Client,
    /// The application.
    Upstream,
    /// Us, or whoever wrote the configuration.
    Gateway,
}

impl Refusal {
    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::LogIn => StatusCode::UNAUTHORIZED,
            Self::Denied => StatusCode::FORBIDDEN,
            Self::MalformedPath(_) | Self::OddPath(_) | Self::AmbiguousPath => {
                StatusCode::BAD_REQUEST
            }
            Self::MalformedRequest(_) => StatusCode::BAD_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::UnknownSite => StatusCode::MISDIRECTED_REQUEST,
            Self::NoSuchPage => StatusCode::NOT_FOUND,
            Self::BadGateway(_) => StatusCode::BAD_GATEWAY,
            Self::GatewayTimeout(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Unavailable(_) | Self::Outage(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Who has to do something about it.
    pub fn blame(&self) -> Blame {
        match self {
            Self::LogIn
            | Self::Denied
            | Self::MalformedPath(_)
            | Self::OddPath(_)
            | Self::AmbiguousPath
            | Self::MalformedRequest(_)
            | Self::Method
            | Self::Expectation
            | Self::BodyTooLarge
            | Self::BodyTimeout
            | Self::UnknownSite
            | Self::NoSuchPage => Blame::Client,
            Self::BadGateway(_) | Self::GatewayTimeout(_) => Blame::Upstream,
            Self::Unavailable(_) | Self::Outage(_) | Self::Broken(_) => Blame::Gateway,
        }
    }

    /// Whether nothing that follows on the connection can be trusted to be a request.
    pub fn ends_the_connection(&self) -> bool {
        matches!(self, Self::MalformedRequest(_) | Self::BodyTooLarge | Self::BodyTimeout)
    }

    /// A word for programs and metrics, stable over versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::LogIn => "login_required",
            Self::Denied => "denied",
            Self::MalformedPath(_) => "malformed_path",
            Self::OddPath(_) => "odd_path",
            Self::AmbiguousPath => "ambiguous_path",
            Self::MalformedRequest(_) => "malformed_request",
            Self::Method => "method_not_allowed",
            Self::Expectation => "expectation_failed",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::UnknownSite => "unknown_site",
            Self::NoSuchPage => "no_such_page",
            Self::BadGateway(_) => "bad_gateway",
            Self::GatewayTimeout(_) => "gateway_timeout",
            Self::Unavailable(_) | Self::Outage(_) => "unavailable",
            Self::Broken(_) => "internal_error",
        }
    }

    /// What happened, in a few words for a person.
    pub fn title(&self) -> &'static str {
        match self {
            Self::LogIn => "Please log in",
            Self::Denied => "You may not see this page",
            Self::MalformedPath(_) | Self::OddPath(_) | Self::AmbiguousPath => {
                "This address is not valid"
            }
            Self::MalformedRequest(_) => "This request is not valid",
            Self::Method => "This cannot be done here",
            Self::Expectation => "This expectation cannot be met",
            Self::BodyTooLarge => "This is too large",
            Self::BodyTimeout => "This took too long to arrive",
            Self::UnknownSite => "There is no such site here",
            Self::NoSuchPage => "There is no such page",
            Self::BadGateway(_) => "The application does not answer",
            Self::GatewayTimeout(_) => "The application takes too long to answer",
            Self::Unavailable(_) | Self::Outage(_) => "This is not possible just now",
            Self::Broken(_) => "Something went wrong",
        }
    }

    /// What the person can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::LogIn => "Log in and try again.",
            Self::Denied => "If you need it for your work, ask the person who runs this site.",
            Self::MalformedPath(_) | Self::OddPath(_) | Self::AmbiguousPath => {
                "Check the address, or go back and follow another link."
            }
            Self::MalformedRequest(_) | Self::Method | Self::Expectation => {
                "Go back and try it in another way."
            }
            Self::BodyTooLarge => "Send something smaller.",
            Self::BodyTimeout => "Check your connection and try again.",
            Self::UnknownSite => "Check the name of the site in the address.",
            Self::NoSuchPage => "Check the address, or go back.",
            Self::BadGateway(_)
            | Self::GatewayTimeout(_)
            | Self::Unavailable(_)
            | Self::Outage(_) => {
                "Try again in a moment. If it stays so, tell the person who runs this site."
            }
            Self::Broken(_) => "Tell the person who runs this site when it happened.",
        }
    }

    /// The cause as the log has it, where there is more to say than the code.
    pub fn cause(&self) -> String {
        match self {
            Self::MalformedPath(why) => why.to_string(),
            Self::OddPath(oddity) => format!("`{}` is not allowed in this path", oddity.name()),
            Self::MalformedRequest(why) => (*why).to_owned(),
            Self::GatewayTimeout(phase) => (*phase).to_owned(),
            Self::BadGateway(why)
            | Self::Unavailable(why)
            | Self::Outage(why)
            | Self::Broken(why) => why.clone(),
            Self::LogIn
            | Self::Denied
            | Self::AmbiguousPath
            | Self::Method
            | Self::Expectation
            | Self::BodyTooLarge
            | Self::BodyTimeout
            | Self::UnknownSite
            | Self::NoSuchPage => self.title().to_lowercase(),
        }
    }
}
