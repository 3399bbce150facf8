#!/usr/bin/env python3
"""Writes vectors.txt: hashes that real Django made, with what real Django says about them.

The file holds one hash a line: the version of Django, the name of the hasher, the password (as JSON),
whether it matches, and the hash. Old Django is needed for the schemes that new Django has dropped:

    python3 -m venv old && old/bin/pip install 'Django~=4.2' argon2-cffi 'bcrypt<5'
    python3 -m venv new && new/bin/pip install 'Django~=5.2' argon2-cffi bcrypt
    (old/bin/python make.py; new/bin/python make.py) >vectors.txt

Only the hashes that are made at Django's own cost are as slow as Django's; there are few of them.
"""

import json

import django
from django.conf import settings

settings.configure()

from django.contrib.auth import hashers  # noqa: E402

# The longest that bcrypt takes whole is 72 bytes; new versions of its library refuse more.
PASSWORDS = ["letmein", "lètmein", "пароль🔑", " with spaces ", "$dollars$", "x" * 72]
LONG = "long " * 200
WRONG = "Letmein"

NAMES = [
    "Argon2PasswordHasher",
    "PBKDF2PasswordHasher",
    "PBKDF2SHA1PasswordHasher",
    "BCryptSHA256PasswordHasher",
    "BCryptPasswordHasher",
    "ScryptPasswordHasher",
    "SHA1PasswordHasher",
    "MD5PasswordHasher",
    "UnsaltedSHA1PasswordHasher",
    "UnsaltedMD5PasswordHasher",
]

CHEAP = {
    "Argon2PasswordHasher": {"time_cost": 1, "memory_cost": 64, "parallelism": 2},
    "PBKDF2PasswordHasher": {"iterations": 1000},
    "PBKDF2SHA1PasswordHasher": {"iterations": 1000},
    "BCryptSHA256PasswordHasher": {"rounds": 4},
    "BCryptPasswordHasher": {"rounds": 4},
    "ScryptPasswordHasher": {"work_factor": 16, "block_size": 2, "parallelism": 3},
}


def write(hasher, password, encoded):
    matches = hasher.verify(password, encoded)
    row = [django.get_version(), type(hasher).__name__, json.dumps(password), str(matches).lower(), encoded]
    print("\t".join(row))


def salts(hasher):
    """Salts of today, of Django before 3.2, and of the very first versions."""
    if "Unsalted" in type(hasher).__name__ or "BCrypt" in type(hasher).__name__:
        return [hasher.salt()]
    old = [] if isinstance(hasher, hashers.Argon2PasswordHasher) else ["a1b2c"]
    return [hasher.salt(), "Zx81Spectrum", *old]


for name in NAMES:
    hasher = getattr(hashers, name, None)
    if hasher is None:
        continue
    hasher = hasher()
    write(hasher, "letmein", hasher.encode("letmein", hasher.salt()))
    for key, value in CHEAP.get(name, {}).items():
        setattr(hasher, key, value)
    passwords = PASSWORDS + ([] if name == "BCryptPasswordHasher" else [LONG])
    for number, password in enumerate(passwords):
        for salt in salts(hasher) if number == 0 else [hasher.salt()]:
            encoded = hasher.encode(password, salt)
            write(hasher, password, encoded)
            write(hasher, WRONG, encoded)
    if name == "UnsaltedMD5PasswordHasher":
        bare = hasher.encode("letmein", "")
        write(hasher, "letmein", "md5$$" + bare)
        write(hasher, WRONG, "md5$$" + bare)

for kind in ["i", "d"] if hasattr(hashers, "Argon2PasswordHasher") else []:
    from argon2 import Type, low_level

    hasher = hashers.Argon2PasswordHasher()
    raw = low_level.hash_secret(
        b"letmein", b"Zx81Spectrum0815", time_cost=2, memory_cost=32, parallelism=1, hash_len=16,
        type=getattr(Type, kind.upper()),
    )
    for password in ["letmein", WRONG]:
        write(hasher, password, "argon2" + raw.decode())

unusable = hashers.make_password(None)
for password in ["", "!", unusable, unusable[1:]]:
    row = [django.get_version(), "make_password(None)", json.dumps(password), "false", unusable]
    assert not hashers.check_password(password, unusable)
    print("\t".join(row))
