//! What `manage.py dumpdata` writes: a list of objects, which refer to each other by number or, with
//! `--natural-foreign`, by name.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::source::{Place, Source};
use crate::accounts::django::UserModel;
use crate::accounts::{GroupEntry, PermissionEntry, Record, Secret, UserEntry};

/// One object of a dump.
#[derive(Deserialize)]
struct Object {
    model: String,
    #[serde(default)]
    pk: Value,
    fields: Map<String, Value>,
}

impl Object {
    fn place(&self) -> Place {
        let name = self.fields.get("username").or_else(|| self.fields.get("name"));
        let name = name.and_then(Value::as_str).unwrap_or("without a name").escape_debug();
        if self.pk.is_null() {
            Place::Row(format!("{} `{name}`", self.model))
        } else {
            Place::Row(format!("{} {} `{name}`", self.model, self.pk))
        }
    }

    fn text(&self, field: &str) -> Option<String> {
        self.fields.get(field)?.as_str().map(str::to_owned)
    }

    fn flag(&self, field: &str) -> Option<bool> {
        self.fields.get(field)?.as_bool()
    }

    fn moment(&self, field: &str) -> Result<Option<jiff::Timestamp>, String> {
        let Some(text) = self.text(field) else { return Ok(None) };
        // Without time zones Django writes none; then it is taken for UTC.
        let parsed = text.parse().or_else(|_| format!("{text}Z").parse());
        parsed.map(Some).map_err(|_| format!("`{field}` is no moment"))
    }

    fn list(&self, field: &str) -> &[Value] {
        self.fields.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

/// What references in the dump stand for.
#[derive(Default)]
struct Names {
    /// Of applications, by the number of a content type.
    apps: HashMap<String, String>,
    /// Of groups, by number.
    groups: HashMap<String, String>,
    /// Of permissions, by number.
    permissions: HashMap<String, String>,
}

pub(super) fn parse(name: String, bytes: &[u8], users: &UserModel) -> Source {
    let mut source = Source::named(name);
    let objects: Vec<Object> = match serde_json::from_slice(bytes) {
        Ok(objects) => objects,
        Err(error) => {
            let what = if error.is_data() { "no dump of Django's" } else { "no JSON" };
            let message = format!(
                "the file is {what}: see column {}\n\
                 hint: it may be what `manage.py dumpdata --natural-foreign auth` writes, or a \
                 file of SQLite's",
                error.column()
            );
            source.refuse(Place::Line(u64::try_from(error.line()).unwrap_or(1)), message);
            return source;
        }
    };
    let is = |object: &&Object, model: &str| object.model.eq_ignore_ascii_case(model);
    let of = |model: &'static str| objects.iter().filter(move |object| is(object, model));
    let mut names = Names::default();
    for object in of("contenttypes.contenttype") {
        names
            .apps
            .extend(Some((object.pk.to_string(), object.text("app_label").unwrap_or_default())));
    }
    let mut seen = std::collections::HashSet::new();
    for object in of("auth.permission") {
        let app = match object.fields.get("content_type") {
            Some(Value::Array(natural)) => natural.first().and_then(Value::as_str),
            Some(number) => names.apps.get(&number.to_string()).map(String::as_str),
            None => None,
        };
        // Whoever has it is complained about: what nobody has need not be missed.
        let (Some(app), Some(codename)) = (app, object.text("codename")) else { continue };
        let name = format!("{app}.{codename}");
        names.permissions.insert(object.pk.to_string(), name.clone());
        if seen.insert(name.clone()) {
            let description = object.text("name").unwrap_or_default();
            let record = Record::Permission(PermissionEntry { name, description });
            source.add(object.place(), record);
        }
    }
    for object in of("auth.group") {
        let name = object.text("name").unwrap_or_default();
        names.groups.insert(object.pk.to_string(), name.clone());
        match names.permissions(object.list("permissions")) {
            Ok(permissions) => {
                source.add(object.place(), Record::Group(GroupEntry { name, permissions }));
            }
            Err(why) => source.refuse(object.place(), why),
        }
    }
    let model = users.name();
    let mut found = false;
    for object in objects.iter().filter(|object| is(object, &model)) {
        found = true;
        match names.user(object) {
            Ok(user) => source.add(object.place(), Record::User(user)),
            Err(why) => source.refuse(object.place(), why),
        }
    }
    if !found {
        let message = format!("there is no `{model}` in it\nhint: `--user-model` names another");
        source.refuse(Place::Row("the whole file".to_owned()), message);
    }
    source
}

impl Names {
    fn user(&self, object: &Object) -> Result<UserEntry, String> {
        let group = |reference: &Value| match reference.as_array() {
            Some(natural) => natural.first().and_then(Value::as_str).map(str::to_owned),
            None => self.groups.get(&reference.to_string()).cloned(),
        };
        let groups: Option<Vec<String>> = object.list("groups").iter().map(group).collect();
        let groups = groups.ok_or("it is in a group that is not in the file")?;
        Ok(UserEntry {
            username: object.text("username").ok_or("it has no `username`")?,
            first_name: object.text("first_name"),
            last_name: object.text("last_name"),
            email: object.text("email"),
            password: None,
            password_hash: object.text("password").map(Secret::from),
            is_active: object.flag("is_active"),
            is_staff: object.flag("is_staff"),
            is_superuser: object.flag("is_superuser"),
            last_login: object.moment("last_login")?,
            date_joined: object.moment("date_joined")?,
            groups: Some(groups),
            permissions: Some(self.permissions(object.list("user_permissions"))?),
            ..UserEntry::default()
        })
    }

    /// The names of permissions that are referred to; by name: codename, application, model.
    fn permissions(&self, references: &[Value]) -> Result<Vec<String>, String> {
        let name = |reference: &Value| match reference.as_array().map(Vec::as_slice) {
            Some([Value::String(codename), Value::String(app), ..]) => {
                Some(format!("{app}.{codename}"))
            }
            Some(_) => None,
            None => self.permissions.get(&reference.to_string()).cloned(),
        };
        let names: Option<Vec<String>> = references.iter().map(name).collect();
        let mut names = names.ok_or_else(|| {
            "it has a permission of which the file does not say to which application it belongs\n\
             hint: write the file with `manage.py dumpdata --natural-foreign auth`"
                .to_owned()
        })?;
        names.sort();
        names.dedup();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(source: &Source) -> Vec<&UserEntry> {
        source
            .records
            .iter()
            .filter_map(|placed| match &placed.record {
                Record::User(user) => Some(user),
                Record::Group(_) | Record::Permission(_) => None,
            })
            .collect()
    }

    /// As Django 5.2 writes it, with two ways to refer to things.
    fn dump(by_name: bool) -> String {
        let (content_type, permission, group) = if by_name {
            (r#"["polls","poll"]"#, r#"["can_vote","polls","poll"]"#, r#"["Editors"]"#)
        } else {
            ("7", "25", "3")
        };
        format!(
            r#"[{{"model":"contenttypes.contenttype","pk":7,"fields":{{"app_label":"polls","model":"poll"}}}},
            {{"model":"auth.permission","pk":25,"fields":{{"name":"Can vote","content_type":{content_type},"codename":"can_vote"}}}},
            {{"model":"auth.group","pk":3,"fields":{{"name":"Editors","permissions":[{permission}]}}}},
            {{"model":"auth.user","pk":1,"fields":{{"password":"!x","last_login":"2026-01-02T03:04:05.678Z","is_superuser":true,
              "username":"ada","first_name":"Ada","last_name":"","email":"","is_staff":true,"is_active":true,
              "date_joined":"2025-01-02T03:04:05","groups":[{group}],"user_permissions":[{permission}]}}}}]"#
        )
    }

    #[test]
    fn a_dump_is_read_by_number_and_by_name() {
        for by_name in [false, true] {
            let source = parse("d".to_owned(), dump(by_name).as_bytes(), &UserModel::default());
            assert_eq!(source.problems, []);
            assert_eq!(source.records.len(), 3);
            let ada = users(&source)[0];
            assert_eq!(ada.groups.as_deref(), Some(&["Editors".to_owned()][..]));
            assert_eq!(ada.permissions.as_deref(), Some(&["polls.can_vote".to_owned()][..]));
            assert_eq!((ada.is_staff, ada.is_superuser), (Some(true), Some(true)));
            assert_eq!(ada.date_joined.unwrap().to_string(), "2025-01-02T03:04:05Z");
            assert_eq!(source.records[2].place, Place::Row("auth.user 1 `ada`".to_owned()));
        }
    }

    #[test]
    fn a_dump_that_does_not_say_whose_a_permission_is_is_refused_where_it_matters() {
        let text = dump(false).replace("contenttypes.contenttype", "sites.site");
        let source = parse("d".to_owned(), text.as_bytes(), &UserModel::default());
        assert_eq!(source.records.len(), 0);
        assert_eq!(source.problems.len(), 2, "the group and the user: {:?}", source.problems);
        assert!(source.problems[0].message.contains("--natural-foreign"));
    }

    #[test]
    fn another_model_of_users_is_found_by_its_name() {
        let text = dump(true).replace("auth.user", "people.Person");
        let model = UserModel::parse("people.Person").unwrap();
        let source = parse("d".to_owned(), text.as_bytes(), &model);
        assert_eq!(users(&source).len(), 1);
        let source = parse("d".to_owned(), text.as_bytes(), &UserModel::default());
        assert!(source.problems[0].message.contains("`auth.user`"), "{:?}", source.problems);
    }

    #[test]
    fn what_is_no_dump_is_refused_without_being_shown() {
        for text in ["hunter2", "[{\"model\":1,\"fields\":\"hunter2\"}]", "{\"a\":\"hunter2\"}"] {
            let source = parse("d".to_owned(), text.as_bytes(), &UserModel::default());
            assert_eq!(source.problems.len(), 1);
            assert!(!source.problems[0].message.contains("hunter2"));
        }
    }
}
