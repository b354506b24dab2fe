//! Whether the view says what the log says: it is built again and compared, see [`arbiter_views::check`].

use arbiter_eventlog::{Folder, Reader};
use arbiter_views::RebuildCheck;

use crate::config::PersistenceConfig;
use crate::error::CheckError;
use crate::facts::{Facts, waiting};
use crate::replays::Asked;

/// Builds the view again in a scratch file beside it, and compares. The service may run meanwhile, here or in another
/// process. It takes the time and the disk space that the view takes.
///
/// # Errors
/// If there is no view, or no log, or the view cannot be built again.
pub fn rebuild_check(config: &PersistenceConfig) -> Result<RebuildCheck, CheckError> {
    let look = |moment: &arbiter_views::Moment<'_>| Ok(waiting::replayed(moment.connection)?);
    arbiter_views::rebuild_check(&config.view_path(), look, |replayed| {
        // What is asked for from now on is not in the view that was hashed.
        let replays = match Folder::at(&config.replays_path()) {
            Ok(folder) => Asked::read(folder)?.first(replayed),
            Err(_) => Asked::default(),
        };
        let reader = Reader::open(Folder::at(&config.events)?, config.events_masters.clone())?;
        Ok((Facts::new(replays), reader))
    })
}
