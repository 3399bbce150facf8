-- The secret by which it is chosen whose password stands in for that of a user who is not there
-- (accounts/password/stand_in.rs). All gateways on this database must choose alike.
CREATE TABLE vestibule_stand_in (
    id INTEGER PRIMARY KEY,
    secret VARCHAR(64) NOT NULL
);
