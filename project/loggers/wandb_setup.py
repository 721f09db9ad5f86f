"""The id of a W&B run, and whether it can be logged online here."""

import hashlib
import logging
import netrc
import os
import re
import socket
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

log = logging.getLogger(__name__)
PROXIES = {"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"}


def as_id(name: str, most: int = 64) -> str:
    """A valid and unique id for a run of this name, in at most ``most`` characters.

    Artifacts' names begin with it, so it has only the characters that W&B takes there.
    """
    plain = re.sub(r"[^\w.-]", "-", name, flags=re.ASCII)
    if len(plain) <= most:
        return plain
    return f"{plain[: most - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def resolve_mode(mode: str) -> str:
    """Resolve ``auto`` by WANDB_MODE, else to online if there are credentials and a server."""
    mode = os.environ.get("WANDB_MODE", "auto") if mode == "auto" else mode
    if mode not in ("auto", "online"):
        return mode
    if mode == "auto" and not has_credentials():
        log.info("W&B: no credentials found, so this run is logged offline (online: wandb login)")
        return "offline"
    if PROXIES & os.environ.keys():
        return "online"  # the server may only be reached through the proxy
    server = server_address()
    try:
        port = server.port or (80 if server.scheme == "http" else 443)
        socket.create_connection((server.hostname, port), timeout=5).close()
    except OSError as error:
        log.info(f"W&B: {server.hostname} does not answer ({error}), so this run is logged offline")
        return "offline"
    return "online"


def server_address() -> SplitResult:
    """The address of W&B's server."""
    return urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai"))


def has_credentials() -> bool:
    """Whether W&B would find an API key for its server without asking for one."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        return netrc.netrc(path).authenticators(server_address().hostname or "") is not None
    except (OSError, netrc.NetrcParseError):
        return False
