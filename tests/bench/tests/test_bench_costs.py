"""README.md's table of costs is what the count and the prices give."""

from bench.costs.consultation import Consultation, Stored
from bench.costs.table import README, prices, table, with_table
from localcloud.host.logline import LogLine


def test_the_readme_has_the_table() -> None:
    text = README.read_text(encoding="utf-8")
    assert text == with_table(text), "uv run python -m bench.costs"


def test_every_price_is_used() -> None:
    """A price that changes nothing stands there for nothing."""
    stated, dollars = Consultation.stated(), prices()
    unused = []
    for group, each in dollars.items():
        for name, price in each.items():
            dearer = {**dollars, group: {**each, name: price * 1000}}
            if table(stated, 153, dearer) == table(stated, 153, dollars):
                unused.append(f"{group}.{name}")
    assert unused == []


def test_a_log_is_counted_by_kind() -> None:
    lines = [
        LogLine("request", "POST /api/intake/start", "201"),
        LogLine("request", "GET /console/customer.html", "200"),
        LogLine("invoke", "IntakeFunction", "ok", 24.0),
        LogLine("invoke", "ConsoleFunction", "ok", 2.0),
        LogLine("log", "IntakeFunction INFO request", logged_bytes=300),
        LogLine("log", "ConsoleFunction INFO request", logged_bytes=300),
        LogLine("metric", "IntakeFunction Intakes=1.0", logged_bytes=200),
        LogLine("bus", "session.created -> FeedQueue.fifo, NotifyQueue"),
        LogLine("queue", "FeedQueue.fifo -> BroadcastFunction 2 messages", "ok"),
        LogLine("queue", "FeedQueue.fifo released 3 messages that an earlier process held"),
        LogLine("socket", "POST /_ws/WebSocketApi/live/@connections/A= new_assignment", "200"),
        LogLine("socket", "GET /_ws/WebSocketApi/live/@connections/A=", "200"),
        LogLine("mail", "ses took a mail: request_received"),
    ]
    counted = Consultation.counted(lines, Stored(100, 1_000.0), Stored(142, 1_125.4))
    assert counted == Consultation(
        calls=1,
        files=1,
        invocations={"IntakeFunction": 1},
        milliseconds=24,
        events=1,
        queue_messages=2,
        pushes=1,
        mails=1,
        log_lines=1,
        metric_lines=1,
        logged_bytes=500,
        rows=42,
        database_milliseconds=125,
    )
