//! The `PyO3` binding, built as ternmq._core. Converts, decides nothing.
//!
//! No thread of ours ever attaches to the interpreter: Python drains events and hands back answers, in batches.

mod broker;
mod constants;
mod dicts;
mod endpoint;
mod event_kinds;
mod events;
mod fields;
mod groups;
mod identity;
mod inspect;
mod journal;
mod messages;
mod options;
mod panics;
mod records;
mod replica_events;
mod sends;
mod status;
mod topics;

use pyo3::prelude::*;

/// The engine of ternmq; `_core.pyi` is its whole surface.
#[pymodule]
mod _core {
    #[pymodule_export]
    use crate::broker::Broker;
    #[pymodule_export]
    use crate::endpoint::Endpoint;
    #[pymodule_export]
    use crate::identity::unique_id;
    #[pymodule_export]
    use crate::inspect::{code_name, engine_routes};
    #[pymodule_export]
    use crate::journal::{open_journal, take_journal};
    #[pymodule_export]
    use crate::messages::{crc32, encode_batch, encode_properties, java_hash, offset_id};
    #[pymodule_export]
    use crate::records::{Records, decode_messages};

    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        crate::panics::report_in_the_journal();
        crate::constants::add_to(module)
    }
}
