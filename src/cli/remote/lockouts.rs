//! Where commands about lockouts are carried out: by the running gateway, which counts failures.

use std::path::Path;

use hyper::StatusCode;
use serde::de::DeserializeOwned;

use super::{PATIENCE, complaint, connect, no_gateway, post, unanswered};
use crate::cli::{Failure, load_for_accounts};
use crate::server::lockout_commands::LockoutCommand;

/// Has the gateway carry out `command`, and gives its reply.
pub(in super::super) fn execute<R: DeserializeOwned>(
    file: Option<&Path>,
    command: &LockoutCommand,
) -> Result<R, Failure> {
    let configuration = load_for_accounts(file)?;
    let socket = &configuration.server.admin_socket;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::No(format!("no runtime: {error}")))?;
    runtime.block_on(async {
        let Some(stream) = connect(socket).await? else { return Err(no_gateway(socket)) };
        let body = serde_json::to_vec(command).map_err(|error| Failure::No(error.to_string()))?;
        let asked = tokio::time::timeout(PATIENCE, post(stream, "/v1/lockouts", body)).await;
        match asked.unwrap_or_else(|_| Err(unanswered("it takes too long")))? {
            (StatusCode::OK, body) => {
                serde_json::from_slice(&body).map_err(|error| unanswered(&error))
            }
            (status, body) => Err(complaint(status, &body)),
        }
    })
}
