"""What can be tried: combinations of a space that go together, each once, in the seed's order.

Comes in: a space and what goes together in it. Goes out: the values of the next trial. `oracles`
propose them.
"""

import itertools
import random
from collections.abc import Callable, Collection, Iterable

from cham_keras.tuning.search_space import SearchSpace, Values

#: Of a space with more combinations not all are looked at.
_MOST_LISTED = 10_000
_MOST_DRAWS = 2_000


class Proposals:
    """Combinations in a random order that the seed decides.

    Args:
        space: the choices.
        first: what is proposed first, such as the settings as they stand; None for nothing.
        seed: decides the order. A search that goes on has the same order.
        goes: whether values go together.
    """

    def __init__(
        self, space: SearchSpace, first: Values | None, seed: int, goes: Callable[[Values], bool]
    ):
        self.space, self.first, self.seed, self.goes = space, first, seed, goes

    def draw(self, number: int, tried: Collection[tuple]) -> Values | None:
        """The values of a trial.

        Args:
            number: of the trial, from 0.
            tried: what `key` gives for each of the trials before.

        Returns:
            None where nothing is left.
        """
        if self.first is not None and self.key(self.first) not in tried and self.goes(self.first):
            return dict(self.first)  # keras-tuner adds to it
        generator = random.Random(f"{self.seed} {number}")
        total = self.space.num_combinations()
        numbers: Iterable[int] = (generator.randrange(total) for _ in range(_MOST_DRAWS))
        if total <= _MOST_LISTED:
            numbers = generator.sample(range(total), total)
        for combination in map(self.space.combination, numbers):
            if self.key(combination) not in tried and self.goes(combination):
                return combination
        return None

    def count(self, most: int) -> int:
        """Number of combinations that go together; where there are very many, of all.

        Args:
            most: where to stop.
        """
        total = self.space.num_combinations()
        if total > _MOST_LISTED:
            return min(most, total)
        going = filter(self.goes, map(self.space.combination, range(total)))
        return sum(1 for _ in itertools.islice(going, most))

    def key(self, values: Values) -> tuple:
        """Values as something that can be compared, whatever else stands among them."""
        return tuple(values[name] for name in self.space.choices())
