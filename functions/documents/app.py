"""GET /api/customer/receipts, /api/receipts/{receiptId}, /api/mechanic/statements, /api/mechanic/statements/{month}"""

from autodoctor.db import database
from autodoctor.documents.receipts import Receipt, Receipts, receipt, receipts_of
from autodoctor.documents.statements import Statement, Statements, page_of_statement, statement, statements_of
from autodoctor.errors import ReceiptNotFound, StatementNotFound
from autodoctor.web.formats import chosen
from autodoctor.web.http import Content, Request, Router

router = Router()
db = database()


@router.route("GET /api/customer/receipts", groups=["customers"], query=["cursor", "limit"])
def receipts(request: Request) -> Receipts:
    return receipts_of(db, request.caller.user_id, request.query.get("limit"), request.query.get("cursor"))


@router.route(
    "GET /api/receipts/{receiptId}",
    groups=["customers", "admins"],
    query=["format"],
    headers=["accept"],
    raises=[ReceiptNotFound],
)
def one_receipt(request: Request) -> Receipt | Content | Content[bytes]:
    form = chosen(request.query.get("format"), request.headers.get("accept"), ("json", "html", "pdf"))
    receipt_id = request.id("receiptId", ReceiptNotFound)
    found = receipt(db, request.caller.user_id, receipt_id, any_customer=request.caller.is_admin)
    if form == "html":
        from autodoctor.documents.pages import receipt_page  # noqa: PLC0415 (Jinja2 for those who print)

        return receipt_page(found)
    if form == "pdf":
        from autodoctor.documents.pdf import receipt_pdf  # noqa: PLC0415 (see above)

        return receipt_pdf(found)
    return found


@router.route("GET /api/mechanic/statements", groups=["mechanics"])
def statements(request: Request) -> Statements:
    return statements_of(db, request.caller.user_id)


@router.route(
    "GET /api/mechanic/statements/{month}",
    groups=["mechanics"],
    query=["cursor", "format"],
    headers=["accept"],
    raises=[StatementNotFound],
)
def one_statement(request: Request) -> Statement | Content | Content[bytes]:
    form = chosen(request.query.get("format"), request.headers.get("accept"), ("json", "csv", "html", "pdf"))
    made = statement(db, request.caller.user_id, request.path["month"])
    if form == "csv":
        from autodoctor.documents.statement_csv import statement_csv  # noqa: PLC0415 (see above)

        return statement_csv(made)
    if form == "html":
        from autodoctor.documents.pages import statement_page  # noqa: PLC0415 (see above)

        return statement_page(made)
    if form == "pdf":
        from autodoctor.documents.pdf import statement_pdf  # noqa: PLC0415 (see above)

        return statement_pdf(made)
    return page_of_statement(made, request.query.get("cursor"))


handler = router.handler()
