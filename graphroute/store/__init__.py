"""What outlives a process: SQLite files of call records with verdicts, and of promotions.

| file | its job |
|---|---|
| `background` | hands what is put to a writer, in batches, beside the run |
| `schema` | the tables, their versions, and a damaged file set aside |
| `rows` | a `CallRecord` as a row and back |
| `write` | one batch in one transaction; what is too old or too much |
| `read` | records, nodes of a run and credits back |
| `tally` | sums for a report, in SQL |
| `records` | `RecordStore`: all of it behind one object |
| `promotions` | the log of what learning has put in use, and one step back |
"""

from __future__ import annotations
