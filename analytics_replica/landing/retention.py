"""How long things are kept: production's log for us, and batches in landing.

Here: the judgement on what the slot makes production keep, and which batches are old enough to go.
Not here: reading the slot (source.slot), removing anything.
"""

from __future__ import annotations

from analytics_replica.domain.batches import Manifest
from analytics_replica.domain.verdicts import Finding, Verdict
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import last_manifest

ABOUT = "slot retention"


def check_slot_retention(store: Store, warn_bytes: int) -> Verdict:
    """PASS if production kept no more log for us than `warn_bytes` when capture last looked.

    FAIL also when the server says that the slot is about to lose log. CANNOT_TELL before the first
    capture.
    """
    last = last_manifest(store)
    if last is None:
        return Verdict.cannot_tell(ABOUT, Finding("slot", "nothing was captured yet"))
    return slot_verdict(last[0], warn_bytes)


def slot_verdict(manifest: Manifest, warn_bytes: int) -> Verdict:
    """The judgement on the slot as this batch's capture found it."""
    slot, name = manifest.slot, f"slot {manifest.source.slot}"
    faults = []
    if slot.retained_bytes > warn_bytes:
        faults.append(
            Finding(
                name,
                f"production keeps {slot.retained_bytes / 2**20:,.0f} MB of log for us, more "
                f"than the {warn_bytes / 2**20:,.0f} MB allowed",
            )
        )
    if slot.wal_status not in ("reserved", "extended"):
        faults.append(Finding(name, f"the server calls its log {slot.wal_status}"))
    figures: dict[str, int | float | str] = {
        "retained_bytes": slot.retained_bytes,
        "wal_status": slot.wal_status,
        "restart_lsn": str(slot.restart_lsn),
        "confirmed_lsn": str(slot.confirmed_lsn),
    }
    if slot.safe_wal_bytes is not None:
        figures["safe_wal_bytes"] = slot.safe_wal_bytes
    return Verdict.from_findings(ABOUT, faults, **figures)
