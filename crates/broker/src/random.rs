//! Chance, from the system.

use ring::rand::{SecureRandom, SystemRandom};

/// 16 bytes that nobody else draws: the id of a group or of a directory.
pub(crate) fn random_id() -> Result<[u8; 16], String> {
    let mut id = [0; 16];
    SystemRandom::new()
        .fill(&mut id)
        .map_err(|_| "the system gives no random bytes for an id".to_owned())?;
    Ok(id)
}
