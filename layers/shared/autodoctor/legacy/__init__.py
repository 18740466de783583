"""Moving in: the old system's database becomes sessions of ours, ids kept, every old row archived word for word.

`names` says what the old tables, columns and states are called, `source` reads them (one read-only snapshot, a
server-side cursor), `old` makes one value of all rows that tell of a consultation, `evidence` and `fate` decide what
it becomes, `trail` says which rows that takes, `proof` has verify's checks look at them before they are written,
`writer` writes a batch in one transaction together with its archive, `run` goes through it all and reports.

Decided so: an outcome follows from evidence, as everywhere here; money that the old system moved stays its own (a
moved session is free of charge for us, so that nothing of it is ever paid or refunded again); nothing that happened
there is told to the bus; who still waits keeps their place in the queue.
"""
