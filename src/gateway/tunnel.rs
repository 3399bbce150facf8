//! A connection that changed its protocol: bytes both ways until one end closes.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::exchange::Exchange;

/// Joins the two ends when both have changed; the exchange, and its log line, end with them.
pub(super) fn open(browser: OnUpgrade, application: OnUpgrade, mut exchange: Exchange) {
    tokio::task::spawn_local(async move {
        let worker = std::rc::Rc::clone(exchange.worker());
        worker.open_tunnels.set(worker.open_tunnels.get() + 1);
        match (browser.await, application.await) {
            (Ok(browser), Ok(application)) => {
                let (mut browser, mut application) =
                    (TokioIo::new(browser), TokioIo::new(application));
                match tokio::io::copy_bidirectional(&mut browser, &mut application).await {
                    Ok((_, sent)) => exchange.count(sent),
                    Err(error) => tracing::debug!(%error, "a tunnel ended"),
                }
            }
            (Err(error), _) | (_, Err(error)) => tracing::debug!(%error, "no tunnel was made"),
        }
        worker.open_tunnels.set(worker.open_tunnels.get() - 1);
    });
}
