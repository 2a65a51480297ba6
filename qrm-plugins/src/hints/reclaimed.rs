//! Hints of reclaimed pods with `numa_binding`.

use super::kept;
use super::room::Room;
use super::shared::{allowed, nowhere};
use crate::demand::BoundDemand;
use crate::place::{BoundRehearsal, Company, closed};
use crate::{Hint, Hints, Refusal};
use gleaner_model::{MilliCpu, NumaId, NumaSet};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// One node each: those that have bound reclaimed pods already go first, so that the others stay for unbound ones; then those with most
/// headroom left. A node whose headroom does not cover the request, or is not known, is not preferred.
pub(super) fn hints<'a>(room: &Room<'a>, demand: &'a BoundDemand, headroom: Option<&BTreeMap<NumaId, MilliCpu>>) -> Result<Hints, Refusal> {
    let own = room.own_nodes();
    let (company, rehearsal) = (Company::bound(demand), BoundRehearsal::new(room.context, room.others));
    let mut candidates = Vec::new();
    let mut refusals = Vec::new();
    for id in allowed(room)? {
        let stays = own.as_ref().is_some_and(|own| own.contains(id));
        let refused = || room.closed(id, &company, closed).or_else(|| rehearsal.reclaimed(demand, id, stays).err());
        match refused() {
            Some(refusal) => refusals.push((id, refusal)),
            None => {
                let left = headroom.and_then(|all| all.get(&id)).map(|has| has.minus(room.requested_on(id, true)));
                candidates.push((room.bound_on(id, true).next().is_none(), Reverse(left), id));
            }
        }
    }
    if candidates.is_empty() {
        return Err(nowhere(room, &refusals));
    }
    candidates.sort();
    let hint = |(_, Reverse(left), id): (bool, Reverse<Option<MilliCpu>>, NumaId)| {
        Hint::on(NumaSet::of(id), left.is_some_and(|left| left >= room.asked.cpu))
    };
    Ok(Hints::List(kept::first(own.as_ref(), candidates.into_iter().map(hint).collect())))
}
