-- Accounts are looked for by their address when a password is to be reset.
CREATE INDEX vestibule_user_email ON vestibule_user (lower(email));
