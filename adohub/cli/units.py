"""The unit files that `adohub systemd` writes: one hub, one of several, and the socket that outlives them.

Law: the hub gets what it needs and nothing more; `systemd-analyze security` counts what is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from string import Template

_ABOUT = """\
# ${about}
# Made by: adohub systemd install ${scope}

[Unit]
Description=${description}
"""

_SERVICE = """\
[Service]
Type=notify
ExecStart=${program} serve${config}
ExecReload=kill -HUP $$MAINPID
Restart=on-failure
RestartSec=1
# 2: the configuration is wrong, and stays so until somebody mends it.
RestartPreventExitStatus=2
# Fed by the event loop itself: one that is blocked is ended, and its events are in storage.
WatchdogSec=30
TimeoutStartSec=300
LimitNOFILE=65536
UMask=0077
StateDirectory=${state}
StateDirectoryMode=0700
WorkingDirectory=%S/${state}
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
"""

_HARDENING = """\
# A user of its own for as long as it runs, who reads what everybody may read of /etc/adohub. A key that is
# for root alone is given to it with LoadCredential=.
DynamicUser=yes
# For server.unix_socket = "/run/${state}/adohub.sock". PrivateUsers= would hide who connects there.
RuntimeDirectory=${state}
CapabilityBoundingSet=
AmbientCapabilities=
PrivateDevices=yes
PrivateTmp=yes
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes
"""

_SOCKET = """\
[Socket]
# Held while the hub is restarted: who comes meanwhile waits, and is served by the next one.
ListenStream=127.0.0.1:3001
ListenStream=%t/adohub.sock
# Root's; SocketMode= and SocketGroup= let others in.
SocketMode=0600
Backlog=4096

[Install]
WantedBy=sockets.target
"""

_NETWORK = "Wants=network-online.target\nAfter=network-online.target\n"

SERVICE, INSTANCE, SOCKET = "adohub.service", "adohub@.service", "adohub.socket"


def units(program: str, config: str, *, is_system: bool) -> Mapping[str, str]:
    """The unit files, by name, that run `program`, a path, for the system or for one user.

    `config`: the configuration of the one hub; empty for where adohub looks for it.
    """
    scope = "--system" if is_system else "--user"
    wanted_by = "\n[Install]\nWantedBy=" + ("multi-user.target" if is_system else "default.target") + "\n"
    network = _NETWORK if is_system else ""
    service = _SERVICE + (_HARDENING if is_system else "")
    folder = "/etc/adohub" if is_system else "%h/.config/adohub"

    def filled(text: str, **words: str) -> str:
        return Template(text).substitute(scope=scope, program=program, **words)

    return {
        SERVICE: filled(
            _ABOUT + network + "\n" + service + wanted_by,
            about="One hub. Settings of your own go into a drop-in: systemctl edit adohub.service",
            description="adohub, an event hub",
            config=f" --config {config}" if config else "",
            state="adohub",
        ),
        INSTANCE: filled(
            _ABOUT + network + "\n" + service + wanted_by,
            about=f"One of several hubs: adohub@NAME reads {folder}/NAME.toml, which gives it a port",
            description="adohub, the event hub %i",
            config=f" --config {folder}/%i.toml",
            state="adohub-%i",
        ),
        SOCKET: filled(
            _ABOUT + "\n" + _SOCKET,
            about="The addresses of adohub.service, in place of those in its configuration",
            description="The sockets of adohub",
        ),
    }
