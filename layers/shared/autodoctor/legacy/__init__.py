"""Moving in: the old system's database becomes sessions of ours, ids kept, every old row archived word for word.

`names` lists the old tables, columns and states, `source` reads them (one read-only snapshot, a server-side cursor),
`grouping` finds the rows that belong together, `old` makes one value of them, `evidence` and `target_state` decide what
it becomes, `audit_rows` makes its rows, `verification` runs verify's checks on them before they are written, `writer`
writes a batch and its archive in one transaction, and `run` drives it all and reports.

Rules: an outcome follows from evidence, as everywhere here. Money that the old system moved stays there: a moved
session is free of charge here, so that it is never paid or refunded again. Moved history publishes no events. A
customer who is still in the queue keeps their position.
"""
