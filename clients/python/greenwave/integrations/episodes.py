"""Adds up an episode while it runs."""

from __future__ import annotations

import time
from typing import Any, Dict, Mapping, Optional

from ..run import Run

# Measures of a step whose mean over the steps is a measure of the episode, by the name
# that the mean gets.
MEANS = {"avg_waiting_time": "avg_waiting_time", "avg_speed": "avg_speed", "queue_length": "avg_queue_length"}


class Episode:
    """One episode of one environment. Steps count from 0."""

    def __init__(self, run: Run, number: int) -> None:
        self.run, self.number, self.steps, self.total = run, number, 0, 0.0
        self._begun = time.monotonic()
        self._sums: Dict[str, float] = {}
        self._counts: Dict[str, int] = {}
        self._longest: Optional[float] = None

    def step(self, reward: Any, action: Any = None, state: Any = None, measures: Optional[Mapping[str, Any]] = None) -> None:
        """Logs a step. An action that is not one integer goes to intersection_metrics."""
        fields: Dict[str, Any] = {"episode_number": self.number, "step_number": self.steps, **(measures or {})}
        for name, mean in MEANS.items():
            value = fields.get(name)
            if value is not None and value == value:
                self._sums[mean] = self._sums.get(mean, 0.0) + value
                self._counts[mean] = self._counts.get(mean, 0) + 1
        queue = fields.get("queue_length")
        if queue is not None:
            self._longest = max(self._longest or 0.0, queue)
        number = single(action)
        if number is not None:
            fields["action_taken"] = number
        elif action is not None:
            actions = action if isinstance(action, Mapping) else {"actions": action}
            fields["intersection_metrics"] = {**(fields.get("intersection_metrics") or {}), "actions": actions}
        if state is not None:
            fields["state_vector"] = flat(state)
        value = scalar(reward)
        self.total += value
        self.steps += 1
        self.run.log_step(fields, immediate_reward=value)

    def end(self, measures: Optional[Mapping[str, Any]] = None) -> None:
        """Logs the episode."""
        fields: Dict[str, Any] = {name: total / self._counts[name] for name, total in self._sums.items()}
        if self._longest is not None:
            fields["max_queue_length"] = self._longest
        fields.update(measures or {})
        self.run.log_episode(
            fields, episode_number=self.number, total_reward=self.total, steps_completed=self.steps,
            episode_duration_minutes=(time.monotonic() - self._begun) / 60,
        )  # fmt: skip


class Numbers:
    """Gives episodes their numbers: behind those of the earlier runs."""

    def __init__(self, run: Run, first: Optional[int] = None) -> None:
        self._run = run
        self._next = first if first is not None else (run.last_episode + 1 if run.last_episode is not None else 1)

    def begin(self) -> Episode:
        self._next += 1
        return Episode(self._run, self._next - 1)


def scalar(reward: Any) -> float:
    """A reward as one number; those of several agents are added up."""
    if isinstance(reward, Mapping):
        return float(sum(scalar(r) for r in reward.values() if r is not None))
    value = reward.tolist() if hasattr(reward, "tolist") else reward
    if isinstance(value, (list, tuple)):
        return float(sum(scalar(r) for r in value))
    return float(value)


def single(action: Any) -> Optional[int]:
    """An action that is one integer; None for all others."""
    value = action.tolist() if hasattr(action, "tolist") else action
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if type(value) is int else None


def flat(state: Any) -> Any:
    """An observation as one list of numbers; None for one that is not, such as a
    mapping of several agents."""
    value = state.tolist() if hasattr(state, "tolist") else state
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return [value]
    if not isinstance(value, (list, tuple)):
        return None
    while value and isinstance(value[0], (list, tuple)):
        value = [x for row in value for x in row]
    return list(value)
