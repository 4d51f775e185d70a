"""How a provider is doing, put together from what its answers were like."""

import logging
from datetime import datetime, timedelta

from miauflixd.catalogue.model import ProviderName
from miauflixd.catalogue.providers.provider import Condition, ProviderState
from miauflixd.runtime.clock import Clock

logger = logging.getLogger(__name__)

_FAILURES = 3
"""Questions in a row without an answer, each asked several times: no hiccup any more."""

_WHEN_WANTED = "It is asked as soon as something is wanted of it"


class Health:
    """The condition of one provider, which others tell what they have seen.

    An outage is logged once when it is noticed, by the provider's name alone, and once when it is
    over, however many questions fail between.
    """

    def __init__(self, *, name: ProviderName, company: str, refusal: str, clock: Clock) -> None:
        """Begin without knowing anything.

        Args:
            name: which provider.
            company: what people call it.
            refusal: a sentence that says what to do when it does not accept our key.
            clock: the time of day.
        """
        self._company = company
        self._refusal = refusal
        self._clock = clock
        self._failures = 0
        self._reported: set[Condition] = set()
        self._rested = clock()
        self._state = ProviderState(
            name=name,
            condition="unknown",
            since=clock(),
            reason="It has not been asked yet",
            next=_WHEN_WANTED,
        )

    @property
    def is_off(self) -> bool:
        """Whether the settings do not want it; what comes of earlier questions is no news then."""
        return self._state.condition == "off"

    @property
    def failing(self) -> bool:
        """Whether it is known not to answer, so that insisting is useless."""
        return self._state.condition == "failing"

    def state(self) -> ProviderState:
        """Return how it is doing."""
        if self._state.condition == "resting" and self._clock() >= self._rested:
            self._change("unknown", "It wanted to be left alone, and was", _WHEN_WANTED)
        return self._state

    def off(self, reason: str, following: str) -> None:
        """Take note that the settings do not want it."""
        self._change("off", reason, following)

    def wanted(self) -> None:
        """Take note that the settings want it, with what it may not have been asked with before."""
        self._failures = 0
        self._reported.clear()
        self._change("unknown", "It has not been asked yet", _WHEN_WANTED)

    def worked(self) -> None:
        """Take note of an answer that could be used."""
        if self.is_off:
            return
        self._failures = 0
        if self._reported:
            logger.info("%s answers again", self._company)
            self._reported.clear()
        self._change("ok", "It answers", _WHEN_WANTED)

    def failed(self, reason: str) -> None:
        """Take note that a question got no answer, or a useless one, also when asked again."""
        if self.is_off:
            return
        self._failures += 1
        # Who has answered before may fail to once or twice; who never has is not there.
        if self._failures >= _FAILURES or self.state().condition != "ok":
            self._report("failing", "%s does not answer, or nothing that can be used")
            self._change("failing", reason, "It is asked again whenever something is wanted of it")

    def refused(self, reason: str) -> None:
        """Take note that our key is not accepted."""
        if self.is_off:
            return
        self._report("refused", "%s does not accept the key that the settings have for it")
        self._change("refused", reason, self._refusal)

    def rests(self, seconds: float) -> None:
        """Take note that it wants to be left alone for so long."""
        if self.is_off:
            return
        self._rested = max(self._rested, self._clock() + timedelta(seconds=seconds))
        until = self._rested.isoformat(sep=" ", timespec="seconds")
        self._change("resting", "It was asked too often", f"It is asked again after {until}")

    def _change(self, condition: Condition, reason: str, following: str) -> None:
        before = self._state
        same = before.condition == condition
        if same and (before.reason, before.next) == (reason, following):
            return
        since: datetime = before.since if same else self._clock()
        self._state = ProviderState(
            name=before.name, condition=condition, since=since, reason=reason, next=following
        )

    def _report(self, condition: Condition, sentence: str) -> None:
        if condition not in self._reported:
            self._reported.add(condition)
            logger.warning(sentence, self._company)
