//! Vestibule, a reverse-proxy authentication gateway.
