"""The description of every route, by its key in template.yaml.

To describe a new route, add one entry to the file of its chapter:

    "POST /api/things/{thingId}/do": Operation("doThing", "Do a thing", "Sessions", "What a caller has to know."),

Groups, models, statuses, parameters and problems come from the route itself (`Router.route`). A new name in the path
or the query goes into parameters.py, a new type of problem into problems.py.

Then: `uv run autodoctor openapi --write`.
"""

from collections.abc import Mapping
from typing import Final

from autodoctor.describe.operation import Operation
from autodoctor.describe.operations import administration, customers, mechanics, public, quotes

OPERATIONS: Final[Mapping[str, Operation]] = {
    **customers.OPERATIONS,
    **mechanics.OPERATIONS,
    **quotes.OPERATIONS,
    **administration.OPERATIONS,
    **public.OPERATIONS,
}
