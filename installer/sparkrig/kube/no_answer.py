"""Why a request got no answer: in a person's words, and whether to send it again."""

from __future__ import annotations

from urllib.parse import urlsplit

from sparkrig.defaults import API_CONNECT_TIMEOUT_S
from sparkrig.kube.connection import Endpoint


def explained(endpoint: Endpoint, error: BaseException) -> tuple[str, str]:
    """Why there was no answer, and what to do where that is something special."""
    import urllib3.exceptions as ue

    proxy, host = endpoint.proxy, urlsplit(endpoint.server).hostname
    if isinstance(error, ue.ProxyError) and proxy is not None:
        what = f"cannot be reached through the proxy {proxy.shown} ({proxy.source}): {_proxy_said(error)}"
        way = "remove it from the kubeconfig" if "kubeconfig" in proxy.source else f"add {host} to NO_PROXY"
        return what, f"allow {host} in the proxy, or {way} if the API server is reached without a proxy"
    if isinstance(error, ue.SSLError) and "certificate verify failed" in str(error):
        return explain_failure(error), (
            f"the server's certificate does not fit context {endpoint.context!r}: is its "
            "certificate-authority that of this cluster, or does something on the way (a proxy that opens TLS) "
            "present its own? To see it: openssl s_client -showcerts -connect "
            f"{host}:{urlsplit(endpoint.server).port or 443}"
        )
    return explain_failure(error), ""


def _proxy_said(error: BaseException) -> str:
    """The proxy's own answer, e.g. ``403 Forbidden``, or why it gave none."""
    cause: BaseException | None = getattr(error, "original_error", None)
    text = str(cause or error)
    if "Tunnel connection failed: " in text:
        return f"it answered {text.split('Tunnel connection failed: ')[1]}"
    return f"it {explain_failure(cause)}" if cause is not None else "it does not answer"


def explain_failure(error: BaseException) -> str:
    """Say in a person's words why there was no answer; a verb phrase about the API server."""
    import urllib3.exceptions as ue

    if isinstance(error, ue.MaxRetryError) and error.reason:
        return explain_failure(error.reason)
    if isinstance(error, ue.ProxyError):
        return f"cannot be reached through the proxy: {_proxy_said(error)}"
    if isinstance(error, ue.SSLError):
        return f"cannot be trusted: {str(error).split('] ')[-1].split(' (_ssl')[0]}"
    if isinstance(error, ue.NameResolutionError):
        return "has a host name that cannot be resolved"
    if isinstance(error, ue.NewConnectionError):
        return "refuses the connection" if "refused" in str(error) else f"cannot be reached: {_last_part(error)}"
    if isinstance(error, ue.ConnectTimeoutError):
        return f"accepts no connection in {API_CONNECT_TIMEOUT_S:.0f} s"
    if isinstance(error, ue.ReadTimeoutError):
        return "accepts the connection, but does not answer in time"
    if isinstance(error, ue.ProtocolError):
        return "closed the connection without an answer"
    return f"cannot be reached: {_last_part(error)}"


def _last_part(error: BaseException) -> str:
    return str(error).rsplit(": ", 1)[-1]


def never_sent(error: BaseException) -> bool:
    """True when the server cannot have seen the request."""
    import urllib3.exceptions as ue

    if isinstance(error, ue.MaxRetryError) and error.reason:
        return never_sent(error.reason)
    return isinstance(error, (ue.NewConnectionError, ue.ConnectTimeoutError)) or is_permanent(error)


def is_permanent(error: BaseException) -> bool:
    """True when sending it again gives the same: a name, a certificate, a proxy that refuses."""
    import urllib3.exceptions as ue

    if isinstance(error, ue.SSLError):
        return "EOF" not in str(error)  # a control plane that restarts hangs up in mid-handshake
    if isinstance(error, ue.ProxyError):
        return "Tunnel connection failed: 4" in str(error.original_error)
    return isinstance(error, (ue.NameResolutionError, ue.LocationValueError))
