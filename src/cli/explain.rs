//! `vestibule explain`: which rule decides on a request, and why.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use super::explanation::Explanation;
use super::{Failure, account_lookup};
use crate::config::{Configuration, Question, hypothetical, visitor};
use crate::domain::user::normalize_username;
use crate::domain::{Permission, User};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The method, in upper case
    method: String,

    /// A URL, or a path of the site that answers for every other host
    url: String,

    /// Who asks: an account, or with --groups and the like anybody you think up [default: nobody]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// Groups of a user you think up, separated by commas
    #[arg(long, visible_alias = "group", value_delimiter = ',', requires = "user")]
    groups: Vec<String>,

    /// Permissions of a user you think up, separated by commas
    #[arg(long, visible_alias = "permission", value_delimiter = ',', requires = "user")]
    permissions: Vec<String>,

    /// The user you think up is staff
    #[arg(long, requires = "user")]
    staff: bool,

    /// The user you think up is a superuser
    #[arg(long, requires = "user")]
    superuser: bool,

    /// The address of whoever asks
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,

    /// For programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, file: Option<&Path>) -> Result<(), Failure> {
    let configuration = super::load(file)?;
    let question = Question::parse(&arguments.method, &arguments.url, arguments.address)
        .map_err(Failure::Usage)?;
    let user = arguments.user(&configuration)?;
    let explanation = Explanation::of(&configuration, &question, &visitor(user.clone()), user);
    if arguments.json {
        print(&format!("{:#}", explanation.to_json()));
    } else {
        print(&explanation.render());
    }
    Ok(())
}

impl Arguments {
    /// Who asks: `None` for nobody we know.
    fn user(&self, configuration: &Configuration) -> Result<Option<Arc<User>>, Failure> {
        let Some(name) = &self.user else { return Ok(None) };
        let is_made_up =
            self.staff || self.superuser || !self.groups.is_empty() || !self.permissions.is_empty();
        if is_made_up {
            return self.made_up(name).map(|user| Some(Arc::new(user)));
        }
        let accounts = &configuration.accounts;
        let hint = "hint: with `--groups` or `--permissions` the user need not exist";
        if !account_lookup::database_exists(accounts) {
            return Err(Failure::No(format!("there is no database of users yet\n{hint}")));
        }
        match account_lookup::open(accounts)?.user(name) {
            Some(user) => Ok(Some(user)),
            None => Err(Failure::No(format!("there is no user called `{name}`\n{hint}"))),
        }
    }

    fn made_up(&self, name: &str) -> Result<User, Failure> {
        let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
        let name = normalize_username(name).map_err(|error| usage(&error))?;
        let permissions: BTreeSet<Permission> = self
            .permissions
            .iter()
            .map(|name| name.parse::<Permission>().map_err(|error| usage(&error)))
            .collect::<Result<_, _>>()?;
        let mut groups = self.groups.clone();
        groups.sort();
        Ok(User {
            groups,
            permissions,
            is_staff: self.staff,
            is_superuser: self.superuser,
            ..hypothetical(name)
        })
    }
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn print(text: &str) {
    println!("{}", text.trim_end());
}
