//! Vestibule, a reverse-proxy authentication gateway.
pub mod accounts;
pub mod cli;
pub mod config;
pub mod domain;
pub mod gateway;
pub mod pages;
pub mod server;
pub mod sessions;
pub mod telemetry;
pub mod upstream;
pub mod web;
