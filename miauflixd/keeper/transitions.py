"""Ways into the phases that several others lead to."""

from miauflixd.keeper import sentences
from miauflixd.keeper.health import (
    Sample,
    Watch,
)
from miauflixd.keeper.ladder import same_server
from miauflixd.keeper.sentences import Words
from miauflixd.keeper.states import (
    Connecting,
    Link,
    Up,
    UplinkDown,
    UseServer,
    Waiting,
)
from miauflixd.keeper.turn import Turn


def come_up(turn: Turn, link: Link, sample: Sample, *, took: float = 0.0) -> None:
    """Be up by this link, which has taken so many seconds; those who are to blame are penalised."""
    state = turn.state
    endpoint = link.endpoint
    guilty = frozenset() if state.is_clock_behind else state.accused - {endpoint.id}
    is_other = state.home is None or not same_server(state.home, endpoint)
    refusing = refusing_provider(turn)
    turn.set(
        ladder=state.ladder.answered(endpoint).penalising(guilty, turn.now),
        accused=frozenset(),
        home=endpoint,
        generation=state.generation + is_other,
        standby_due=turn.now,
    )
    if is_other:
        turn.actions.append(UseServer(endpoint))
    words = sentences.up(endpoint.name)
    if refusing and refusing != endpoint.provider:
        words = Words(f"{words.reason}. {sentences.refused(refusing)}", words.next)
    if state.standby and not state.standby.is_proved:
        turn.drop_standby()  # it was a knock at somebody's door
    roughness = state.roughness.took(took, turn.now)
    watch = Watch.begin(sample, turn.now, roughness=roughness).probing(turn.now)
    turn.enter(Up(link=link, watch=watch), words)
    turn.probe_active(endpoint)


def freeze(turn: Turn, link: Link, *, was_up: bool) -> None:
    """Blame the uplink, and nobody else, until something comes."""
    state = turn.state
    home = state.ladder.find(state.home.id) if state.home else None
    if not was_up and home and home.id != link.endpoint.id:
        # A round had begun before the gateway was known to be silent: back to where we were.
        link = turn.link_to(home, 0)
    turn.set(accused=frozenset(), standby=state.standby and state.standby.questioned())
    frozen = UplinkDown(
        link=link, was_up=was_up, sample=state.active_sample, began=turn.now, knocked=turn.now
    )
    turn.enter(frozen, sentences.UPLINK_DOWN)


def knock_again(turn: Turn, link: Link, *, why: str) -> None:
    """Give this endpoint a fresh chance, and all others after it."""
    turn.set(accused=frozenset())
    if isinstance(turn.state.phase, Waiting):
        turn.drop_standby()
    link = turn.rehandshake(link, is_anew=True)
    turn.enter(Connecting(link=link), sentences.connecting(link.endpoint.name, why=why))
    turn.probe_active(link.endpoint)


def refusing_provider(turn: Turn) -> str | None:
    """Return a provider whose keys may be wrong, as far as the uplink is known to be fine."""
    return turn.state.ladder.refusing_provider() if turn.state.gateway.answers else None
