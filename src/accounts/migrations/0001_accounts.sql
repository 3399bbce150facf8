-- Users, groups and permissions, after the tables of Django's `contrib.auth`.
--
-- Moments are whole seconds since 1970-01-01T00:00:00Z. Names carry a prefix so that the tables may
-- share a database with an application's own. AUTOINCREMENT: the number of a deleted user is never
-- given to another, because sessions and logs refer to users by number.

CREATE TABLE vestibule_user (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    username VARCHAR(150) NOT NULL UNIQUE,
    first_name VARCHAR(150) NOT NULL DEFAULT '',
    last_name VARCHAR(150) NOT NULL DEFAULT '',
    email VARCHAR(254) NOT NULL DEFAULT '',
    password TEXT NOT NULL,
    is_staff BOOLEAN NOT NULL DEFAULT FALSE,
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    is_superuser BOOLEAN NOT NULL DEFAULT FALSE,
    last_login BIGINT,
    date_joined BIGINT NOT NULL
);

CREATE TABLE vestibule_group (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name VARCHAR(150) NOT NULL UNIQUE
);

CREATE TABLE vestibule_permission (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app_label VARCHAR(100) NOT NULL,
    codename VARCHAR(100) NOT NULL,
    name VARCHAR(255) NOT NULL,
    UNIQUE (app_label, codename)
);

CREATE TABLE vestibule_user_groups (
    user_id BIGINT NOT NULL REFERENCES vestibule_user (id) ON DELETE CASCADE,
    group_id BIGINT NOT NULL REFERENCES vestibule_group (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, group_id)
);
CREATE INDEX vestibule_user_groups_group ON vestibule_user_groups (group_id);

CREATE TABLE vestibule_user_permissions (
    user_id BIGINT NOT NULL REFERENCES vestibule_user (id) ON DELETE CASCADE,
    permission_id BIGINT NOT NULL REFERENCES vestibule_permission (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, permission_id)
);
CREATE INDEX vestibule_user_permissions_permission ON vestibule_user_permissions (permission_id);

CREATE TABLE vestibule_group_permissions (
    group_id BIGINT NOT NULL REFERENCES vestibule_group (id) ON DELETE CASCADE,
    permission_id BIGINT NOT NULL REFERENCES vestibule_permission (id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, permission_id)
);
CREATE INDEX vestibule_group_permissions_permission ON vestibule_group_permissions (permission_id);

CREATE TABLE vestibule_profile (
    user_id BIGINT NOT NULL REFERENCES vestibule_user (id) ON DELETE CASCADE,
    field VARCHAR(100) NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (user_id, field)
);
