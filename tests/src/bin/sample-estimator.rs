//! A sample of an estimator in another process: says that every region needs so many percent of what it uses now.
//!
//! `sample-estimator SOCKET PERCENT`

use gleaner_tests::estimator::{Opinion, Sample, serve};
use std::error::Error;
use std::os::unix::net::UnixListener;
use tokio::sync::watch;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(socket), Some(percent)) = (arguments.next(), arguments.next()) else {
        return Err("usage: sample-estimator SOCKET PERCENT".into());
    };
    let listener = UnixListener::bind(&socket).map_err(|error| format!("{socket}: {error}"))?;
    let (_alive, ends) = watch::channel(true);
    serve(listener, Sample::new(Opinion::OfUse(percent.parse()?)), ends);
    Ok(())
}
