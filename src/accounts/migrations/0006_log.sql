-- What was changed by whom.
--
-- Numbers of users and groups without REFERENCES: an entry outlives what it is about.

CREATE TABLE vestibule_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    moment BIGINT NOT NULL,
    by_id BIGINT,
    by_name VARCHAR(255) NOT NULL,
    way VARCHAR(20) NOT NULL,
    action VARCHAR(20) NOT NULL,
    kind VARCHAR(20) NOT NULL,
    object_id BIGINT,
    object VARCHAR(255) NOT NULL,
    changes TEXT NOT NULL
);
CREATE INDEX vestibule_log_moment ON vestibule_log (moment);
CREATE INDEX vestibule_log_by ON vestibule_log (by_id, id);
CREATE INDEX vestibule_log_object ON vestibule_log (kind, object_id, id);
