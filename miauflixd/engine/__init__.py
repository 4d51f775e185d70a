"""The child process that faces the swarm; libtorrent lives here and nowhere else.

Other packages import only `messages`.
"""
