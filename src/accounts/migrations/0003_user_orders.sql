-- The orders in which users are looked for and through. The tables of a Django project get none of them.

-- By the address of whoever wants a password reset.
CREATE INDEX vestibule_user_email ON vestibule_user (lower(email));

-- By staff.
CREATE INDEX vestibule_user_by_email ON vestibule_user (email, id);
CREATE INDEX vestibule_user_by_joined ON vestibule_user (date_joined, id);
CREATE INDEX vestibule_user_by_login ON vestibule_user (COALESCE(last_login, 0), id);
