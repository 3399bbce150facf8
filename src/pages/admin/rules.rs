//! The rules in force, and the question what they say: may X do Y?

use std::sync::Arc;

use http::StatusCode;
use minijinja::{Value, context};

use super::super::Answer;
use super::super::refusal::Notice;
use super::super::rule_book::RulesOfSite;
use super::desk::{Desk, unavailable};
use crate::domain::authorize::{NoJudgement, judge};
use crate::domain::question::{Question, without_port};
use crate::domain::rule::{Finding, Pattern};
use crate::domain::staff::{ViewRule, ViewUser};
use crate::domain::wording::{fact, written};
use crate::domain::{Identity, RequestPath, Rule, Visitor};

/// The methods that can be asked about without typing one.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

impl Desk<'_> {
    /// GET: all rules, and the answer to the question in the address.
    pub(super) async fn rules(&self) -> Answer {
        self.allowed::<ViewRule>()?;
        let (method, url) = (self.asked_for("method"), self.asked_for("url"));
        let who = self.asked_for("user");
        let verdict = match &url {
            Some(url) => {
                let method = method.as_deref().unwrap_or("GET");
                Some(self.verdict(method, url, who.as_deref()).await?)
            }
            None => None,
        };
        let names = context! {
            sites => self.pages.rules.sites.iter().map(site).collect::<Vec<_>>(),
            verdict,
            methods => METHODS,
            method => method.unwrap_or_else(|| "GET".to_owned()),
            url,
            user_name => who,
            can_ask_of_users => self.may::<ViewUser>(),
            rules_url => self.url("rules/"),
        };
        self.show(StatusCode::OK, "admin/rules.html", names)
    }

    /// What would happen. Of users it is told to those who may see users.
    async fn verdict(&self, method: &str, url: &str, who: Option<&str>) -> Result<Value, Notice> {
        let wrong = |message: String| Ok(context! { wrong => message });
        let question = match Question::parse(method, url, self.request.address) {
            Ok(question) => question,
            Err(message) => return wrong(super::super::answer::sentence(&message)),
        };
        let visitor = match who {
            None => Visitor::Anonymous,
            Some(name) => {
                self.allowed::<ViewUser>()?;
                let found = self.pages.state.directory.user_by_name(name, self.request.now).await;
                match found.map_err(|error| unavailable(&error))? {
                    None => return wrong(format!("There is no user “{name}”.")),
                    // A session of an inactive user is none.
                    Some(user) if !user.is_active => Visitor::Anonymous,
                    Some(user) => {
                        let identity = Identity::assumed(Arc::clone(&user), self.request.now);
                        Visitor::SignedIn(identity)
                    }
                }
            }
        };
        Ok(self.judged(&question, &visitor))
    }

    fn judged(&self, question: &Question, visitor: &Visitor) -> Value {
        let public = self.pages.settings.public_url.as_deref();
        let public = public.and_then(|url| url.split_once("://")).map(|(_, host)| host);
        let host = question.host.clone().unwrap_or_else(|| {
            without_port(public.unwrap_or(&self.request.host)).to_ascii_lowercase()
        });
        let deny = |why: String| context! { word => "deny", why };
        let path = match RequestPath::parse(question.target.as_str()) {
            Ok(path) => path,
            Err(why) => return deny(format!("400: {why}.")),
        };
        let Some(site) = self.pages.rules.site_for(&host) else {
            return deny(format!("421: no site answers for “{host}”."));
        };
        if path.below(&self.pages.settings.prefix).is_some() {
            return context! { word => "allow", why => "The gateway answers this itself." };
        }
        let circumstances = question.circumstances(&host);
        let (finding, rule) = match judge(&site.rules, visitor, &path, &circumstances) {
            Ok(judged) => judged,
            Err(NoJudgement::OddPath(oddity)) => {
                let name = oddity.name();
                return deny(format!(
                    "400: the path has “{name}” in it, which the rule does not allow."
                ));
            }
            Err(NoJudgement::Ambiguous) => {
                let why = "400: the readings of the path lead to different applications.";
                return deny(why.to_owned());
            }
            Err(NoJudgement::Broken(broken)) => return deny(format!("500: {broken}.")),
        };
        let (word, why) = match finding {
            Finding::Holds => ("allow", "The request goes to the application."),
            Finding::NeedsLogin => ("login", "A browser is sent to the login page."),
            Finding::Lacks => ("deny", "403, and logging in would change nothing."),
        };
        let conditions = rule.conditions.iter().map(|condition| {
            let found = condition.examine(visitor, &path, &circumstances);
            context! {
                text => written(condition),
                holds => found.as_ref().is_ok_and(|finding| *finding == Finding::Holds),
                fact => found.map_or_else(|e| e.why, |_| fact(condition, visitor, question)),
            }
        });
        context! {
            word,
            why,
            rule => &*rule.name,
            site => site.name(),
            upstream => site.upstreams.get(rule.route.0),
            conditions => conditions.collect::<Vec<_>>(),
        }
    }
}

/// A site with its rules, as the template sees it.
fn site(site: &RulesOfSite) -> Value {
    let rule = |rule: &Rule| {
        let methods = Pattern::parse(&rule.name).ok().map(|it| it.methods().join(", "));
        let prefix = rule.name.rsplit_once(' ').filter(|_| methods.is_some());
        context! {
            methods => methods.filter(|methods| !methods.is_empty()),
            prefix => prefix.map_or(&*rule.name, |(_, prefix)| prefix),
            conditions => rule.conditions.iter().map(written).collect::<Vec<_>>(),
            upstream => site.upstreams.get(rule.route.0),
        }
    };
    context! {
        name => site.name(),
        rules => site.rules.iter().map(rule).collect::<Vec<_>>(),
    }
}
