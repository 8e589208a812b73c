//! From a request to its next step: what every driver of handlers has to do alike.
//!
//! Right after a change of leaders the views are behind the log, and topics and groups may come into being by use. So a
//! leader refuses nothing because of a published view alone: the view is brought up to date by ReadIndex, or what is
//! missing is created, and the request is judged once more; what the handler says then stands. The broker's driver and
//! the simulator's clients take the same steps.

use crate::creation::Missing;
use crate::effects::Effects;
use crate::handler::{
    ClientRequest, Consistency, NotServed, Reads, RequestHandler, Verdict, View, WaitsFor,
};
use crate::request_error::RequestError;
use crate::views::Views;

/// What comes before a request is judged.
#[derive(Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing but a free thread of those that read many files.
    Search,
    /// ReadIndex; and before it the offset commits of this group that are on their way, if one is named.
    ReadIndex {
        /// The group.
        offsets_of: Option<String>,
    },
}

/// What comes after a request was judged.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is moved once; a box would cost every send an allocation"
)]
pub enum NextStep<P> {
    /// What the handler says.
    Act(Verdict<P>),
    /// The refusal.
    Refuse(RequestError),
    /// ReadIndex, then judge again as [`Consistency::Linearizable`].
    Confirm,
    /// Create this, then judge again as [`Consistency::Linearizable`].
    Create(Box<Missing>),
    /// Judge again, by a view as good, where old messages are read.
    ReadCold,
}

/// Whether a request can be served by these views. Views that are being rebuilt are not shown; a request that waits for
/// ReadIndex or for its place in the log waits for them anyway.
pub fn is_ready(waits_for: WaitsFor, views: &Views) -> bool {
    waits_for != WaitsFor::View || views.have_replayed()
}

/// Whether a request is judged where and when it comes in.
pub fn is_judged_at_once<H: RequestHandler>(waits_for: WaitsFor) -> bool {
    matches!(H::READS, Reads::Memory | Reads::Files) && waits_for != WaitsFor::ReadIndex
}

/// What a request waits for that is not judged at once.
///
/// # Errors
/// It need not wait: it is refused, whatever is committed meanwhile.
pub fn before<H: RequestHandler>(
    request: &ClientRequest<'_>,
    waits_for: WaitsFor,
    view: &View<'_>,
) -> Result<Before, RequestError> {
    check_leads(waits_for, view)?;
    let header = H::decode(request.command)?;
    H::check(&header, request, view)?;
    if waits_for != WaitsFor::ReadIndex || view.role.reads_alone() {
        return Ok(Before::Search);
    }
    Ok(Before::ReadIndex {
        offsets_of: H::reads_offsets_of(&header).map(str::to_owned),
    })
}

/// Has a request judged, and says what to do.
pub fn judge<H: RequestHandler>(
    request: &ClientRequest<'_>,
    waits_for: WaitsFor,
    view: &View<'_>,
    effects: &mut Effects,
) -> NextStep<H::Pending> {
    let judged = check_leads(waits_for, view)
        .and_then(|()| H::decode(request.command))
        .map_err(NotServed::from)
        .and_then(|header| H::judge(&header, request, view, effects));
    match judged {
        Ok(verdict) => NextStep::Act(verdict),
        Err(NotServed::Cold) => {
            // They would come about twice.
            *effects = Effects::default();
            NextStep::ReadCold
        }
        // A replica that does not lead cannot confirm its view, and creates nothing.
        Err(not_served) if view.consistency == Consistency::Linearizable || !view.leads() => {
            NextStep::Refuse(not_served.into_error())
        }
        Err(NotServed::Rejected(error)) => NextStep::Refuse(error),
        Err(NotServed::StaleView(_)) => NextStep::Confirm,
        Err(NotServed::Missing(missing, _)) => NextStep::Create(missing),
    }
}

fn check_leads(waits_for: WaitsFor, view: &View<'_>) -> Result<(), RequestError> {
    match waits_for {
        WaitsFor::ReadIndex if view.role.reads_alone() => Ok(()),
        WaitsFor::Log | WaitsFor::ReadIndex if !view.leads() => {
            Err(RequestError::not_leader(&view.role))
        }
        _ => Ok(()),
    }
}
