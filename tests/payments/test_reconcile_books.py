"""Reconciling, on our database and the stand-in's books: healthy ones agree, and each thing that is wrong is named."""

from datetime import timedelta

from autodoctor.ids import new_id
from autodoctor.payments.reconcile import Report, reconcile
from payments.counter import Counter
from payments.office import Office

NOW = timedelta()


def compared(office: Office) -> Report:
    """One comparison of everything, also of what is in flight."""
    return reconcile(office.stage.app, office.client, grace=NOW, fee_grace=NOW)


def test_smoke(office: Office) -> None:
    mechanic = office.stage.mechanic()
    office.onboarded(mechanic)
    office.earned(mechanic)
    office.cancelled()
    office.payouts()
    office.refunds()
    report = compared(office)
    print(report.model_dump_json(indent=1))
    print(report.counts())
