-- Accounts that wait for something before they can be used, and links that invite people.
--
-- Users are referred to by number without REFERENCES, because their table may be another's. A row
-- whose user is gone, or active by now, says nothing.

CREATE TABLE vestibule_registration (
    user_id BIGINT NOT NULL PRIMARY KEY,
    waits_for_confirmation BOOLEAN NOT NULL,
    waits_for_approval BOOLEAN NOT NULL,
    registered BIGINT NOT NULL,
    address VARCHAR(45) NOT NULL
);

-- Of the link's token only a digest is kept, so that whoever reads the database cannot use it.
CREATE TABLE vestibule_invitation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest VARCHAR(64) NOT NULL UNIQUE,
    email VARCHAR(254) NOT NULL,
    created BIGINT NOT NULL,
    created_by VARCHAR(150) NOT NULL,
    expires BIGINT NOT NULL,
    used BIGINT,
    used_by BIGINT
);

CREATE TABLE vestibule_invitation_groups (
    invitation_id BIGINT NOT NULL,
    group_id BIGINT NOT NULL,
    PRIMARY KEY (invitation_id, group_id)
);
