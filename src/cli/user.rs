//! `vestibule user`.

use std::path::Path;

use clap::Subcommand;

use super::{Failure, output, password, remote};
use crate::accounts::{
    Change, Command, NewUser, Reply, Secret, UserDetails, UserQuery, UserRecord,
};
use crate::domain::user::normalize_username;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Verb,

    /// For programs
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create a user
    Create(Create),
    /// List all users, or those who are looked for
    List(List),
    /// Show a user
    Show { name: String },
    /// Change fields of a user
    Set {
        name: String,
        /// Keys: username, first_name, last_name, email, is_active, is_staff, is_superuser
        /// (true or false), profile.FIELD (an empty value removes it)
        #[arg(required = true, value_name = "KEY=VALUE")]
        changes: Vec<Change>,
    },
    /// Give a user another password, and so end the user's sessions
    SetPassword {
        name: String,
        /// Read the password from standard input, one line, instead of asking on the terminal
        #[arg(long)]
        password_stdin: bool,
        /// Leave the user without a password that could match
        #[arg(long, conflicts_with = "password_stdin")]
        unusable: bool,
    },
    /// Delete a user
    Delete { name: String },
}

#[derive(Debug, clap::Args)]
struct List {
    /// Parts of the user name, the first or last name or the e-mail address
    #[arg(long, value_name = "WORDS")]
    search: Option<String>,
    /// Members of this group
    #[arg(long)]
    group: Option<String>,
    /// Those who may log in (true), or may not (false)
    #[arg(long, value_name = "BOOL")]
    active: Option<bool>,
    /// Those who may enter the gateway's own administration, or may not
    #[arg(long, value_name = "BOOL")]
    staff: Option<bool>,
    /// Those who have every permission, or have not
    #[arg(long, value_name = "BOOL")]
    superuser: Option<bool>,
    /// Those whose names come after this one
    #[arg(long, value_name = "NAME")]
    after: Option<String>,
    /// At most as many, up to 1000
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=1000))]
    limit: Option<u64>,
}

#[derive(Debug, clap::Args)]
struct Create {
    /// To log in with: letters, digits and @.+-_
    name: String,
    #[arg(long, default_value = "")]
    email: String,
    #[arg(long, value_name = "NAME", default_value = "")]
    first_name: String,
    #[arg(long, value_name = "NAME", default_value = "")]
    last_name: String,
    /// The user may enter the gateway's own administration
    #[arg(long)]
    staff: bool,
    /// The user has every permission
    #[arg(long)]
    superuser: bool,
    /// A group to be a member of; may be given several times
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// A permission to have, app.codename; may be given several times
    #[arg(long = "permission", value_name = "P")]
    permissions: Vec<String>,
    /// A field of the profile; may be given several times
    #[arg(long = "profile", value_name = "FIELD=VALUE", value_parser = profile_field)]
    profile: Vec<(String, String)>,
    /// Read the password from standard input, one line, instead of asking on the terminal
    #[arg(long)]
    password_stdin: bool,
    /// Create the user without a password that could match
    #[arg(long, conflicts_with = "password_stdin")]
    unusable_password: bool,
}

pub(super) fn run(arguments: Arguments, file: Option<&Path>) -> Result<(), Failure> {
    let command = match arguments.command {
        Verb::Create(create) => Command::UserCreate(new_user(create)?),
        Verb::List(list) => look_for(list),
        Verb::Show { name } => Command::UserShow { username: name },
        Verb::Set { name, changes } => Command::UserSet { username: name, changes },
        Verb::SetPassword { name, unusable: true, .. } => {
            Command::UserSetUnusablePassword { username: name }
        }
        Verb::SetPassword { name, password_stdin, unusable: false } => {
            let password = password::read(password_stdin)?;
            Command::UserSetPassword { username: name, password }
        }
        Verb::Delete { name } => Command::UserDelete { username: name },
    };
    show(remote::execute(file, command)?, arguments.json)
}

/// All users, or as many of them as one page has if any are looked for.
fn look_for(list: List) -> Command {
    let is_limited = list.limit.is_some();
    let query = UserQuery {
        search: list.search.unwrap_or_default(),
        is_active: list.active,
        is_staff: list.staff,
        is_superuser: list.superuser,
        group: list.group,
        after: list.after,
        page: 0,
        limit: list.limit.unwrap_or(0),
    };
    if query == UserQuery::default() && !is_limited {
        return Command::UserList {};
    }
    Command::UserSearch(query)
}

fn new_user(create: Create) -> Result<NewUser, Failure> {
    // Before the password is asked for: who mistyped the name need not type that too.
    normalize_username(&create.name).map_err(|error| Failure::Usage(error.to_string()))?;
    Ok(NewUser {
        password: match create.unusable_password {
            true => Secret::default(),
            false => password::read(create.password_stdin)?,
        },
        unusable_password: create.unusable_password,
        username: create.name,
        first_name: create.first_name,
        last_name: create.last_name,
        email: create.email,
        is_staff: create.staff,
        is_superuser: create.superuser,
        groups: create.groups,
        permissions: create.permissions,
        profile: create.profile.into_iter().collect(),
    })
}

fn profile_field(text: &str) -> Result<(String, String), String> {
    let (field, value) = text.split_once('=').ok_or("write `FIELD=VALUE`")?;
    Ok((field.to_owned(), value.to_owned()))
}

/// Prints the reply to any account command.
pub(super) fn show(reply: Reply, json: bool) -> Result<(), Failure> {
    match reply {
        Reply::Done(what) if json => output::json(&serde_json::json!({ "done": what })),
        Reply::Done(what) => output::say(&what),
        Reply::Users(users) if json => output::json(&users),
        Reply::UserPage(page) if json => output::json(&page),
        Reply::User(user) if json => output::json(&user),
        Reply::Groups(groups) if json => output::json(&groups),
        Reply::Group(group) if json => output::json(&group),
        Reply::Permissions(permissions) if json => output::json(&permissions),
        Reply::Permission(permission) if json => output::json(&permission),
        Reply::Registered(registered) => output::json(&registered),
        Reply::Decided(decided) => output::say(&decided.done),
        Reply::Registrations(registrations) if json => output::json(&registrations),
        Reply::Invited(invited) if json => output::json(&invited),
        Reply::Invitations(invitations) if json => output::json(&invitations),
        Reply::Messages(messages) if json => output::json(&messages),
        Reply::Users(users) => table(users),
        Reply::UserPage(page) => {
            let (shown, total) = (page.users.len(), page.total);
            table(page.users)?;
            if (shown as u64) < total {
                output::say(&format!("{shown} of {total}; `--after` and `--limit` show others"))?;
            }
            Ok(())
        }
        Reply::Messages(messages) if json => output::json(&messages),
        Reply::User(user) => card(&user),
        Reply::Groups(groups) => super::group::list(groups),
        Reply::Group(group) => super::group::card(&group),
        Reply::Permissions(permissions) => super::permission::list(permissions),
        Reply::Permission(permission) => super::permission::card(&permission),
        // Their commands look at the replies themselves.
        Reply::Imported(imported) => output::json(&imported),
        Reply::Exported(exported) => output::json(&exported),
        Reply::Registrations(registrations) => super::registration::list(registrations),
        Reply::Invited(invited) => super::invitation::card(&invited),
        Reply::Invitations(invitations) => super::invitation::list(invitations),
        Reply::Messages(messages) => super::message::list(messages),
    }
}

fn table(users: Vec<UserRecord>) -> Result<(), Failure> {
    let head = ["USER", "NAME", "STATUS", "E-MAIL", "LAST LOGIN", "GROUPS"];
    output::table(head, users.into_iter().map(row))
}

fn row(user: UserRecord) -> [String; 6] {
    [
        user.username.clone(),
        full_name(&user),
        status(&user),
        user.email,
        user.last_login.unwrap_or_else(|| "never".to_owned()),
        user.groups.join(", "),
    ]
}

/// What is special about a user, if anything.
fn status(user: &UserRecord) -> String {
    let words =
        [(!user.is_active, "inactive"), (user.is_superuser, "superuser"), (user.is_staff, "staff")];
    let special: Vec<&str> =
        words.into_iter().filter_map(|(applies, word)| applies.then_some(word)).collect();
    special.join(", ")
}

fn card(details: &UserDetails) -> Result<(), Failure> {
    let UserDetails { user, permissions, group_permissions, profile } = details;
    let flag = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
    let mut lines = vec![
        ("username", user.username.clone()),
        ("id", user.id.to_string()),
        ("name", full_name(user)),
        ("e-mail", user.email.clone()),
        ("active", flag(user.is_active)),
        ("staff", flag(user.is_staff)),
        ("superuser", flag(user.is_superuser)),
        ("joined", user.date_joined.clone()),
        ("last login", user.last_login.clone().unwrap_or_else(|| "never".to_owned())),
        ("groups", user.groups.join(", ")),
    ];
    lines.extend(permissions.iter().map(|permission| ("permission", permission.clone())));
    lines.extend(group_permissions.iter().map(|(permission, groups)| {
        ("permission", format!("{permission} (from {})", groups.join(", ")))
    }));
    lines.extend(profile.iter().map(|(field, value)| ("profile", format!("{field} = {value}"))));
    output::card(&lines)
}

fn full_name(user: &UserRecord) -> String {
    format!("{} {}", user.first_name, user.last_name).trim().to_owned()
}
