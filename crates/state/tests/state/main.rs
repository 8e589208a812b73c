//! What the state crate promises, one module a subject.

mod bytes;
mod creation;
mod delays;
mod deletion;
mod determinism;
mod every_op;
mod founding;
mod golden;
mod guards;
mod locks;
mod model;
mod offsets;
mod records;
mod round_trip;
mod support;
mod tables;

/// The bans of clocks, chance, files and sockets are the same in both pure crates.
#[test]
fn the_replication_crate_has_the_same_bans() {
    assert_eq!(
        include_str!("../../clippy.toml"),
        include_str!("../../../replication/clippy.toml")
    );
}
