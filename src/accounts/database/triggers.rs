//! Triggers by which PostgreSQL tells of what is changed behind our back.

use sqlx::{AssertSqlSafe, PgConnection};

/// The function behind all of them. Our own writers say who they are, and tell precisely what they
/// did themselves. The number in its name is that of its text.
const TELL: &str = r"
    CREATE OR REPLACE FUNCTION vestibule_tell_1() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        whom text;
        many bigint;
    BEGIN
        IF coalesce(current_setting('vestibule.writer', true), '') <> '' THEN
            RETURN NULL;
        END IF;
        IF TG_NARGS = 0 THEN
            whom := '*';
        ELSE
            EXECUTE format(
                'SELECT string_agg(id::text, '',''), count(*)
                 FROM (SELECT DISTINCT %I AS id FROM vestibule_changed LIMIT 501) AS ids',
                TG_ARGV[0]
            ) INTO whom, many;
            IF many > 500 THEN
                whom := '*';
            END IF;
        END IF;
        IF whom IS NOT NULL THEN
            PERFORM pg_notify('vestibule_users', '- 0 ' || whom);
        END IF;
        RETURN NULL;
    END $$";

/// What happens to a table, and the rows of it that are looked at.
const EVENTS: [(&str, &str); 3] = [("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")];

/// Puts triggers on the tables that have none yet, each with the column that has the number of the
/// user, if a row concerns but one. It locks each for a moment.
pub(super) async fn install(
    connection: &mut PgConnection,
    tables: &[(&str, Option<&str>)],
) -> Result<(), sqlx::Error> {
    for &(table, user) in tables {
        let there: Option<i32> = sqlx::query_scalar(
            "SELECT 1 FROM pg_trigger
             WHERE tgrelid = to_regclass($1) AND tgname = 'vestibule_tells_1_truncate'",
        )
        .bind(table)
        .fetch_optional(&mut *connection)
        .await?;
        if there.is_some() {
            continue;
        }
        sqlx::raw_sql(TELL).execute(&mut *connection).await?;
        let mut statements = format!(
            "CREATE TRIGGER vestibule_tells_1_truncate AFTER TRUNCATE ON {table}
             FOR EACH STATEMENT EXECUTE FUNCTION vestibule_tell_1();"
        );
        for (event, rows) in EVENTS {
            // A row that is given to another user concerns the one who had it, too.
            let user = user.filter(|user| event != "UPDATE" || *user == "id");
            let (rows, argument) = match user {
                Some(user) => {
                    let rows = format!("REFERENCING {rows} TABLE AS vestibule_changed");
                    (rows, format!("'{user}'"))
                }
                None => (String::new(), String::new()),
            };
            statements += &format!(
                "CREATE TRIGGER vestibule_tells_1_{event} AFTER {event} ON {table} {rows}
                 FOR EACH STATEMENT EXECUTE FUNCTION vestibule_tell_1({argument});"
            );
        }
        // The names of tables are ours, or were found in the catalogue.
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut *connection).await?;
    }
    Ok(())
}
