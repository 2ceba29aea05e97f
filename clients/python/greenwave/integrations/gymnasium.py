"""Records the episodes of a Gymnasium environment.

    env = greenwave.integrations.gymnasium.record(env, run)
"""

from __future__ import annotations

import importlib
from typing import Any, Callable, Mapping, Optional

from ..run import Run
from .episodes import Episode, Numbers

Measure = Callable[[Any, Mapping[str, Any]], Mapping[str, Any]]


def record(
    env: Any,
    run: Run,
    *,
    first_episode: Optional[int] = None,
    measure: Optional[Measure] = None,
    measure_episode: Optional[Measure] = None,
    state: bool = True,
) -> Any:
    """The environment, wrapped so that each step and each episode is logged. An episode
    that reset cuts off is not logged.

    measure and measure_episode get the environment and the info of the step, and return
    further fields of the step and of the episode (see docs/records.md); state=False
    leaves the observation out."""
    gymnasium = importlib.import_module("gymnasium")
    numbers = Numbers(run, first_episode)

    class Recorded(gymnasium.Wrapper):  # type: ignore[misc,name-defined]
        _episode: Optional[Episode] = None

        def reset(self, **kwargs: Any) -> Any:
            begun = self.env.reset(**kwargs)
            # An episode that was cut off gives its number to the next one.
            self._episode = numbers.begin() if self._episode is None else Episode(run, self._episode.number)
            return begun

        def step(self, action: Any) -> Any:
            result = self.env.step(action)
            observation, reward, terminated, truncated, info = result
            episode = self._episode
            if episode is not None:
                episode.step(reward, action, observation if state else None, measure(self.env, info) if measure else None)
                if terminated or truncated:
                    self._episode = None
                    episode.end(measure_episode(self.env, info) if measure_episode else None)
            return result

    return Recorded(env)
