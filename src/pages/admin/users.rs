//! The list of users: searched, filtered, sorted, a page at a time.

use http::StatusCode;
use minijinja::{Value, context};

use super::super::Answer;
use super::desk::{Desk, unavailable};
use super::number;
use crate::accounts::{Count, UserRecord, UserSearch, UserSort};
use crate::domain::staff::{AddUser, ViewUser};

/// What users can be sorted by: in the address, and for people.
const SORTS: [(UserSort, &str, &str); 4] = [
    (UserSort::Username, "username", "Username"),
    (UserSort::Email, "email", "E-mail"),
    (UserSort::LastLogin, "login", "Last login"),
    (UserSort::Joined, "joined", "Joined"),
];

/// The longest search that is looked for, in characters.
const LONGEST_SEARCH: usize = 150;

impl Desk<'_> {
    /// GET: one page of users.
    pub(super) async fn users(&self) -> Answer {
        let allowed = self.allowed::<ViewUser>()?;
        let query = self.user_query();
        let directory = &self.pages.state.directory;
        let groups = directory.groups_to_choose(&allowed).await.map_err(|e| unavailable(&e))?;
        let page = directory.browse_users(&allowed, query.clone()).await;
        let page = page.map_err(|error| unavailable(&error))?;
        let flag = |flag: Option<bool>| match flag {
            None => "",
            Some(true) => "yes",
            Some(false) => "no",
        };
        let link = |mark: &str, id: Option<i64>| {
            id.map(|id| self.url(&format!("users/?{}", address(&query, Some((mark, id))))))
        };
        let names = context! {
            users => page.users.iter().map(|user| self.row(user)).collect::<Vec<_>>(),
            count => match page.count {
                Count::Exactly(1) => "1 user".to_owned(),
                Count::Exactly(number) => format!("{number} users"),
                Count::MoreThan(number) => format!("More than {number} users"),
            },
            search => &*query.search,
            active => flag(query.is_active),
            staff => flag(query.is_staff),
            superuser => flag(query.is_superuser),
            group => query.group.as_deref(),
            groups => groups.iter().map(|group| group.name.clone()).collect::<Vec<_>>(),
            columns => self.columns(&query),
            sort => word(query.sort),
            is_descending => query.is_descending,
            previous_url => link("before", page.previous),
            next_url => link("after", page.next),
            can_add => self.may::<AddUser>(),
            add_url => self.url("users/add/"),
            users_url => self.url("users/"),
        };
        self.show(StatusCode::OK, "admin/users.html", names)
    }

    /// What the address asks for; what makes no sense in it is left out.
    fn user_query(&self) -> UserSearch {
        let text = |name: &str| self.asked_for(name);
        let flag = |name: &str| match self.asked_for(name).as_deref() {
            Some("yes") => Some(true),
            Some("no") => Some(false),
            Some(_) | None => None,
        };
        let mark = |name: &str| self.asked_for(name).as_deref().and_then(number);
        let sort = text("sort");
        let sort = SORTS.iter().find(|(_, word, _)| Some(*word) == sort.as_deref());
        UserSearch {
            search: text("q").unwrap_or_default().trim().chars().take(LONGEST_SEARCH).collect(),
            is_active: flag("active"),
            is_staff: flag("staff"),
            is_superuser: flag("superuser"),
            group: text("group"),
            sort: sort.map(|(sort, _, _)| *sort).unwrap_or_default(),
            is_descending: text("order").as_deref() == Some("desc"),
            after: mark("after"),
            before: mark("before"),
        }
    }

    fn row(&self, user: &UserRecord) -> Value {
        let name = format!("{} {}", user.first_name, user.last_name);
        context! {
            url => self.url(&format!("users/{}/", user.id)),
            username => &*user.username,
            name => name.trim(),
            email => &*user.email,
            is_active => user.is_active,
            is_staff => user.is_staff,
            is_superuser => user.is_superuser,
            last_login => user.last_login.as_deref().map(day),
            joined => day(&user.date_joined),
        }
    }

    /// The heads of the columns, with where a click on each leads.
    fn columns(&self, query: &UserSearch) -> Vec<Value> {
        let column = |(sort, _, title): (UserSort, &str, &str)| {
            let is_sorted = sort == query.sort;
            let is_descending = is_sorted && !query.is_descending;
            let other = UserSearch { sort, is_descending, ..query.clone() };
            context! {
                title,
                url => self.url(&format!("users/?{}", address(&other, None))),
                direction => match (is_sorted, query.is_descending) {
                    (false, _) => None,
                    (true, true) => Some("descending"),
                    (true, false) => Some("ascending"),
                },
            }
        };
        SORTS.into_iter().map(column).collect()
    }
}

/// The day of a moment as records have it.
fn day(moment: &str) -> &str {
    moment.split('T').next().unwrap_or_default()
}

fn word(sort: UserSort) -> &'static str {
    SORTS.iter().find(|(known, _, _)| *known == sort).map_or("", |(_, word, _)| word)
}

/// The query of an address for the same users, from `mark` on.
fn address(query: &UserSearch, mark: Option<(&str, i64)>) -> String {
    let mut address = form_urlencoded::Serializer::new(String::new());
    let flag = |flag: bool| if flag { "yes" } else { "no" };
    if !query.search.is_empty() {
        address.append_pair("q", &query.search);
    }
    for (name, value) in
        [("active", query.is_active), ("staff", query.is_staff), ("superuser", query.is_superuser)]
    {
        if let Some(value) = value {
            address.append_pair(name, flag(value));
        }
    }
    if let Some(group) = &query.group {
        address.append_pair("group", group);
    }
    address.append_pair("sort", word(query.sort));
    if query.is_descending {
        address.append_pair("order", "desc");
    }
    if let Some((name, id)) = mark {
        address.append_pair(name, &id.to_string());
    }
    address.finish()
}
