-- Messages that wait for a user, each shown once. Of users who are gone there may be some left, which
-- nobody is ever shown: a number is given to one user only.

CREATE TABLE vestibule_message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id BIGINT NOT NULL,
    level VARCHAR(10) NOT NULL,
    text TEXT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX vestibule_message_user ON vestibule_message (user_id, id);
