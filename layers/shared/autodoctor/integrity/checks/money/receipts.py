"""Every row of the ledger that is a customer's money is on one document, and the documents' numbers have no gaps."""

from typing import Final

from autodoctor.integrity.checks.base import Check, Section
from autodoctor.integrity.checks.now import Query

_IN_RECEIPTS = Section.RECEIPTS
MISSING: Final = Check(
    "receipt_missing", _IN_RECEIPTS, "a customer paid or got something back, and has no document", 10
)
DIFFERS: Final = Check("receipt_differs", _IN_RECEIPTS, "a document says what the ledger does not", 10)
NUMBERS: Final = Check("receipt_numbers", _IN_RECEIPTS, "a number is missing, or was given twice", 10)
CHECKS: Final = (MISSING, DIFFERS, NUMBERS)

OF_LEDGER: Final[Query] = (
    MISSING,
    """
SELECT t.id, format('%%s: %%s %%s', t.kind, t.amount, t.currency) FROM ledger_transfer t
 WHERE t.id > %(after)s AND t.id <= %(upto)s AND receipt_part(t) IS NOT NULL
   AND NOT EXISTS (SELECT FROM receipt_lines l WHERE l.ledger_id = t.id)
""",
)
OF_RECEIPTS: Final[tuple[Query, ...]] = (
    (
        DIFFERS,
        """
SELECT r.id, format('%%s %%s is about %%s %%s, its rows about %%s', r.kind, r.number, r.amount, r.currency, l.amount)
  FROM receipts r
 CROSS JOIN LATERAL (
   SELECT coalesce(sum(abs(receipt_part(t))), 0) AS amount, bool_and(l.amount = abs(receipt_part(t))
            AND t.currency = r.currency AND receipt_subject(t) = r.subject
            AND (receipt_part(t) < 0) = (r.kind = 'credit_note')) AS alike
     FROM receipt_lines l JOIN ledger_transfer t ON t.id = l.ledger_id WHERE l.receipt_id = r.id) AS l
 WHERE r.id > %(after)s AND r.id <= %(upto)s
   AND (l.amount <> r.amount OR l.alike IS NOT TRUE
        OR r.kind <> 'receipt' AND NOT EXISTS (
             SELECT FROM receipts o WHERE o.id = r.corrects_id AND o.kind = 'receipt' AND o.user_id = r.user_id)
        OR EXISTS (SELECT FROM checkouts c WHERE c.id = r.checkout_id AND c.user_id <> r.user_id))
""",
    ),
    (
        NUMBERS,
        """
SELECT r.id, format('number %%s of %%s', r.number, n.last)
  FROM receipts r LEFT JOIN receipt_numbers n ON n.year = r.year
 WHERE r.id > %(after)s AND r.id <= %(upto)s
   AND (r.sequence <= n.last IS NOT TRUE
        OR EXISTS (SELECT FROM receipts o WHERE o.year = r.year AND o.sequence = r.sequence AND o.id <> r.id)
        OR r.sequence > 1 AND NOT EXISTS (
             SELECT FROM receipts o WHERE o.year = r.year AND o.sequence = r.sequence - 1)
        OR r.sequence < n.last AND NOT EXISTS (
             SELECT FROM receipts o WHERE o.year = r.year AND o.sequence = r.sequence + 1))
""",
    ),
)
