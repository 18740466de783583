"""What `verify` finds in a test's database."""

from autodoctor.integrity.verify import reader, verify
from support.world import World


def findings(world: World) -> dict[str, list[str]]:
    """The subjects found, by check."""
    with reader(world.urls.app_url, "verify") as connection:
        tallies = verify(connection).tallies
    return {slug: [sample.subject for sample in tally.samples] for slug, tally in tallies.items()}
