//! `vestibule check`.

use std::path::{Path, PathBuf};

use super::{Failure, account_lookup, output};
use crate::config::{self, Configuration, Problems, TestUser};
use crate::mail::Transport;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration to look at, in place of `--config`
    file: Option<PathBuf>,

    /// How problems are shown
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,

    /// The same as `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// With source lines and carets
    Human,
    /// One line for each
    Short,
    /// For programs
    Json,
}

pub(super) fn run(arguments: &Arguments, file: Option<&Path>) -> Result<(), Failure> {
    let format = if arguments.json { Format::Json } else { arguments.format };
    let file = arguments.file.as_deref().or(file);
    let mut configuration = match config::load(file) {
        Ok(configuration) => configuration,
        Err(problems) => return refuse(format, problems),
    };
    if let Some(mail) = &configuration.mail {
        Transport::new(mail).map_err(|error| Failure::No(error.to_string()))?;
    }
    let skipped = without_database(&mut configuration);
    let lookup = account_lookup::open(&configuration.accounts)?;
    configuration.warnings = lookup.warnings(&configuration)?;
    match config::run_tests(&configuration, |name| lookup.user(name)) {
        Ok(passed) => approve(format, &configuration, passed, skipped),
        Err(failures) => refuse(format, configuration.warnings.and(failures)),
    }
}

/// Takes out the tests that name an account while there is no database yet, and counts them.
pub(super) fn without_database(configuration: &mut Configuration) -> usize {
    if account_lookup::database_exists(&configuration.accounts) {
        return 0;
    }
    let before = configuration.tests.len();
    configuration.tests.retain(|test| !matches!(test.user, TestUser::Account(_)));
    before - configuration.tests.len()
}

fn refuse(format: Format, problems: Problems) -> Result<(), Failure> {
    match format {
        Format::Human => Err(Failure::Configuration(problems)),
        Format::Short => {
            print(problems.short().trim_end())?;
            Err(Failure::Reported)
        }
        Format::Json => {
            print(&format!("{:#}", problems.to_json()))?;
            Err(Failure::Reported)
        }
    }
}

fn approve(
    format: Format,
    configuration: &Configuration,
    passed: usize,
    skipped: usize,
) -> Result<(), Failure> {
    let warnings = &configuration.warnings;
    match format {
        Format::Human => {
            if !warnings.is_empty() {
                super::warn(warnings);
            }
            print(&summary(configuration, passed, skipped))
        }
        Format::Short => print(warnings.short().trim_end()),
        Format::Json => {
            let mut json = warnings.to_json();
            json["tests"] = serde_json::json!({ "passed": passed, "skipped": skipped });
            print(&format!("{json:#}"))
        }
    }
}

/// `vestibule.toml: fine; 2 sites, 14 rules, 1 upstream, 3 tests passed`.
fn summary(configuration: &Configuration, passed: usize, skipped: usize) -> String {
    let count = |number: usize, word: &str| {
        format!("{number} {word}{}", if number == 1 { "" } else { "s" })
    };
    let gateway = &configuration.gateway;
    let sites = || gateway.sites.iter().map(|(_, site)| site).chain(&gateway.default_site);
    // The rule for paths that no rule names is not in the file.
    let rules: usize = sites().map(|site| site.rules.iter().count() - 1).sum();
    let name = configuration.path.as_deref().unwrap_or(Path::new("the configuration")).display();
    let mut text = format!(
        "{name} is fine: {}, {}, {}",
        count(sites().count(), "site"),
        count(rules, "rule"),
        count(gateway.upstreams.len(), "upstream"),
    );
    if !configuration.tests.is_empty() {
        text.push_str(&format!(", {} passed", count(passed, "test")));
    }
    if skipped > 0 {
        text.push_str(&format!(
            "\n{} not run: {} an account, and there is no database yet",
            count(skipped, "test"),
            if skipped == 1 { "it names" } else { "they name" },
        ));
    }
    text
}

fn print(text: &str) -> Result<(), Failure> {
    if !text.is_empty() {
        // A reader that has seen enough, such as `head`, is no failure.
        let _enough = output::write(&format!("{text}\n"))?;
    }
    Ok(())
}
