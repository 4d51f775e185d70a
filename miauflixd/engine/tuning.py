"""libtorrent's settings, tuned for somebody who is watching, and telling nobody more than needed.

Every number has its reason. The measurements are in docs/benchmarks.md.
"""

import ipaddress

import libtorrent as lt

from miauflixd import __version__
from miauflixd.engine.messages import Configure

DISK_IO = "posix_disk_io_constructor"
"""Synchronous disk I/O: a piece is in the file when `piece_finished` fires (200 of 200 pieces).

The threaded back-ends report up to 14 ms too early, and a reader of the file would send bytes that
are not there. It is also the cheapest: 1.7 CPU s/GB against 2.4 (pread) and 2.9 (mmap), less than
half of the memory, and the fastest. See docs/decisions/0002-disk-io.md.
"""

ALERTS = (
    lt.alert.category_t.error_notification
    | lt.alert.category_t.status_notification
    | lt.alert.category_t.storage_notification
    | lt.alert.category_t.piece_progress_notification
    | lt.alert.category_t.tracker_notification  # answers to scrapes; announces are few
)
"""Only alerts that are asked for ever arrive; block progress would be 64 per MiB."""


def session_settings(configure: Configure) -> "lt.settings_pack":
    """Return the settings of a session that has no way out yet."""
    return {
        **limits(configure, up=False),
        **reconnecting(after=5),
        "alert_mask": ALERTS,
        # 100,000 pieces may finish checking at once; a dropped alert costs a full re-read of state.
        "alert_queue_size": 200_000,
        "user_agent": f"miauflixd/{__version__}",
        # --- who to talk to, and how soon ---
        "enable_lsd": False,  # multicast: would tell the neighbours, and no tunnel carries it
        "enable_upnp": False,  # the router is not on the swarm's road
        "enable_natpmp": False,  # the tunnel's own port forwarding is the keeper's business
        "enable_ip_notifier": False,  # a network namespace does not change under us
        "dht_bootstrap_nodes": "dht.libtorrent.org:25401,router.bittorrent.com:6881",
        "webtorrent_stun_server": "",  # no third party is asked who we are
        # No version, no name of ours, no other address of ours to trackers and peers. It still
        # announces, and plays as fast: only private trackers that know their clients may object.
        "anonymous_mode": True,
        # Trackers see where we come from, and are to believe that.
        "announce_ip": "",  # type: ignore[typeddict-unknown-key] # there is, though not in the stubs
        # Seconds (default 1200): a name that is not found counts so for an eighth of this, 150 s
        # as a rule; and when a tunnel breaks, no name is. The resolver in the namespace caches.
        "resolver_cache_timeout": 40,
        "apply_ip_filter_to_trackers": False,  # the filter only disconnects: see `network`
        "announce_to_all_trackers": True,  # the first to answer wins, not the first in the list
        "announce_to_all_tiers": True,
        "prefer_udp_trackers": False,  # the order of the torrent; all are asked anyway
        "tracker_completion_timeout": 15,
        "tracker_receive_timeout": 8,
        "stop_tracker_timeout": 1,  # saying goodbye must not hold up the end
        "connection_speed": 100,  # attempts a second (default 30): peers decide the first second
        "torrent_connect_boost": 100,  # at once after the first tracker reply (default 30)
        "smooth_connects": False,  # spreading attempts over a second is a second lost
        "peer_connect_timeout": 7,  # seconds (default 15): a dead address blocks a slot
        "handshake_timeout": 7,
        # Plain outgoing handshakes: the encrypted one costs a round trip more with each peer, and
        # the tunnel hides everything on the way already. Incoming ones may still be encrypted.
        "out_enc_policy": int(lt.enc_policy.pe_disabled),
        "in_enc_policy": int(lt.enc_policy.pe_enabled),
        # Keep seeds although nothing is wanted this moment: the next seek wants them warm.
        "close_redundant_connections": False,
        # uTP made an uncapped download 5 times slower at 1.7 times the CPU. We dial by TCP and
        # answer both, so peers that can only do uTP still reach us.
        "enable_outgoing_utp": False,
        "mixed_mode_algorithm": int(lt.bandwidth_mixed_algo_t.prefer_tcp),
        # --- what to ask for ---
        # Below this many pieces libtorrent picks at random; we know what we want from the start.
        "initial_picker_threshold": 0,
        # Seconds in which one peer alone could fetch a piece for it to be given the whole piece
        # (default 20). 0 spreads the blocks of the piece that is waited for over all peers.
        "whole_pieces_threshold": 0,
        "piece_extent_affinity": False,  # neighbours of what others fetch are not what we want next
        "prioritize_partial_pieces": False,  # or a half-done piece of the rest beats the window
        "request_queue_time": 1,  # seconds of requests in flight; see `request_queue`
        "max_out_request_queue": 500,  # at 200 MB/s over three peers, 64 would leave them idle
        "request_timeout": 10,  # seconds (default 60): a silent peer gives its blocks back
        "piece_timeout": 5,  # seconds (default 20) until a block is asked of a second peer
        "peer_timeout": 60,
        "strict_end_game_mode": False,  # late blocks may be asked twice: waiting costs more
        "auto_sequential": False,  # read-ahead decides the order, not the availability
        "suggest_mode": 0,
        "predictive_piece_announce": 0,
        # --- what to give ---
        "unchoke_slots_limit": 8,
        "choking_algorithm": 0,  # fixed slots
        "seed_choking_algorithm": 1,  # fastest upload: whoever gets bytes now spreads them
        # --- machine ---
        "file_pool_size": 40,
        "no_atime_storage": True,
        "max_peer_recv_buffer_size": 2 * 2**20,
        "connections_slack": 10,
        # Milliseconds between ticks (default 500): limits are handed out and connections tried at
        # this pace, and each is a tail of that length.
        "tick_interval": 100,
        "max_metadata_size": 10 * 2**20,  # as much as a .torrent file may have
        "max_piece_count": 2**18,
        "ssrf_mitigation": True,  # a tracker URL must not be a request to the router
        "allow_idna": False,
        "auto_manage_interval": 3600,  # nothing is: it delays the first announce by 500 ms
        # A household behind one router looks like several peers on one address.
        "allow_multiple_connections_per_ip": True,
    }


def limits(configure: Configure, *, up: bool) -> "lt.settings_pack":
    """Return the settings that people set, and those of them that hold without a way out."""
    return {
        "listen_interfaces": ",".join(configure.listen) if up else "",
        # What calls out from an interface's address must leave by that interface.
        "outgoing_interfaces": ",".join(_interfaces(configure.listen)),
        "connections_limit": configure.connections,
        "download_rate_limit": configure.download_rate,
        "upload_rate_limit": configure.upload_rate,
        "enable_dht": configure.dht and up,
    }


def _interfaces(listen: list[str]) -> list[str]:
    """Return the names of interfaces among `address:port` and `interface:port`, each once."""
    hosts = dict.fromkeys(entry.rpartition(":")[0].strip("[]") for entry in listen)
    return [host for host in hosts if not _is_address(host)]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def reconnecting(*, after: int) -> "lt.settings_pack":
    """Return after how many seconds (default 60) a peer is called again: a film cannot wait."""
    return {"min_reconnect_time": after}


def everybody_is_limited() -> lt.ip_filter:
    """Return the rule that the limits hold for every peer.

    Without it libtorrent lets peers on private and loopback addresses past them.
    """
    rule = lt.ip_filter()
    everybody = 1 << lt.session.global_peer_class_id
    rule.add_rule("0.0.0.0", "255.255.255.255", everybody)  # noqa: S104 -- nothing is bound
    rule.add_rule("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", everybody)
    return rule


def request_queue(*, hungry: bool) -> "lt.settings_pack":
    """Return the settings while some reader has gaps close before it, or while none has.

    While one has, read-ahead bounds what is under way by wanting only a few pieces, and the queues
    may be as long as these allow. While none has, nobody needs the full rate, and the shortest
    queues (two blocks a peer) leave the way free for a seek.
    """
    return {"request_queue_time": 1 if hungry else 0}
