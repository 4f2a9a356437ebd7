"""Every timeout and limit, each with its reason. A leaf module."""

from __future__ import annotations

from typing import Final

# --- talking to the API server
API_CONNECT_TIMEOUT_S: Final = 3.0
"""A control plane that does not accept a connection in this time is down, not slow."""
API_READ_TIMEOUT_S: Final = 35.0
"""Longest a single request may take. The API server gives a webhook up to 30 s; what it says then has to be heard."""
API_FIRST_CONTACT_S: Final = 5.0
"""Whole time until "unreachable" is reported: a person waits for this with nothing to look at."""
API_SILENT_TRY_S: Final = 3.0
"""One request to a server that nobody has heard of for ``API_READ_TIMEOUT_S``: each that waits adds to the end of a
run whose cluster is gone."""
API_OUTAGE_S: Final = 22.0
"""How long a request is sent again while nobody listens or answers: a control plane that restarts is back in 20 s, and
the jitter of two tries is added."""
API_RECOVERY_S: Final = 10.0
"""So long after an outage the API server may still refuse what it allows: its caches of roles fill after its start."""
EXEC_PLUGIN_TIMEOUT_S: Final = 60.0
"""A credential plugin that nobody can type to; those of cloud providers take seconds."""
API_CONNECTIONS: Final = 8
"""Connections kept to the API server; its own default flow control serves this many at once."""
API_RETRIES: Final = 4
"""Tries after a 429 or a passing 5xx, with jitter and Retry-After honoured."""
API_RATE: Final = 200.0
"""Requests a second, once ``API_BURST`` are used up; a run of 200 releases asks for less."""
API_BURST: Final = 400
"""Requests that may go out at once before the rate binds: one look at a large stack; kubectl has 300."""
LIST_PAGE: Final = 500
"""Objects a LIST page; what kubectl uses."""

PORT_FORWARD_OPEN_S: Final = 10.0
"""Until the kubelet has taken a port-forward over; it answers in milliseconds where it is there at all."""

# --- helm
HELM_TIMEOUT_S: Final = 300.0
"""Deadline of one helm process unless component.yaml says otherwise; helm's own default."""
HELM_TERM_GRACE_S: Final = 10.0
"""From TERM to KILL: helm marks its release failed in about a second when the API server answers."""
HELM_QUERY_TIMEOUT_S: Final = 30.0
"""Deadline of a helm process that only reads; it takes a tenth of a second."""
HELM_AT_ONCE: Final = 6
"""helm processes at once, rendering included: each takes a core for a tenth of a second or more, and up to 250 MB."""
HELM_HISTORY_MAX: Final = 10
"""Helm revisions kept a release; coupled with the stack revisions offered for rollback."""

# --- chart repositories
CHART_CONNECT_TIMEOUT_S: Final = 5.0
"""A repository that takes longer to answer at all is not reachable from here."""
CHART_READ_TIMEOUT_S: Final = 30.0
"""Longest silence within a download."""
MAX_INDEX_BYTES: Final = 64 << 20
"""The largest public index has about 20 MiB."""

# --- the server's dry run before an upgrade
DRY_RUN_REQUEST_S: Final = 15.0
"""One object; milliseconds, where no webhook keeps the API server waiting (10 s each, as they are by default)."""
DRY_RUN_SLOW_S: Final = 5.0
"""After an answer this slow no further objects are asked about: the rest would be as slow."""

# --- waiting for readiness
READY_TIMEOUT_S: Final = 600.0
"""Default wait for one component; image pulls of GPU operands are minutes on a slow link."""
STABLE_WINDOW_S: Final = 2.0
"""Kinds known to flap (Deployment behind a crashing pod) must hold ready this long."""
CONTROLLER_SETTLE_S: Final = 30.0
"""A controller without observedGeneration that writes nothing for this long after a change has seen it and found
nothing to do: a restarted one takes 15 s to become the leader, and reconciles within seconds after that."""
CONDITION_WINDOW_S: Final = 5.0
"""A condition that a gate check waits for must hold this long: a controller may say ready between two of its steps."""
WEBHOOK_ANSWER_S: Final = 10.0
"""The API server gives a webhook so long by default; one that does not answer by then has not answered."""
REFUSAL_POLL_S: Final = 5.0
"""Between two looks at the events of workloads that have no pods yet."""
WEBHOOK_RETRY_S: Final = 1.0
"""Between two dry runs that ask whether a webhook answers; a new leader writes its CA after 15 s."""

POLICY_REFRESH_S: Final = 2.0
"""An API server takes up new admission policies once a second."""
SCHEMA_REFRESH_S: Final = 6.0
"""An API server's admission policies read the schemas of new CRDs every 5 s."""
SCHEMA_TRIES: Final = 3
"""With several API servers each reads them for itself."""

# --- the stack's lock
LEASE_DURATION_S: Final = 40
"""A dead holder's lease is taken over after this time."""
LEASE_RENEW_S: Final = 5.0
"""Heartbeat; five may be lost before the run gives the lease up."""
LEASE_PATIENCE: Final = 0.7
"""Part of the duration after which a lease that cannot be renewed is given up, 28 s: an API server that is away for
20 s, a heartbeat before that, and two tries after. What is left, 12 s, is the time that helm gets to end
(``HELM_TERM_GRACE_S``) before another run may begin."""
LEASE_RETRY_S: Final = 1.0
"""After a heartbeat that failed."""

LOCK_SAY_S: Final = 30.0
"""A run that waits for the lock says so once for each holder, and again after this time: a log keeps every line."""

# --- records
HISTORY_MAX: Final = 10
"""Stack revisions kept."""
SECRET_PART_BYTES: Final = 900_000
"""Largest piece of a revision in one Secret; the API server refuses 1 MiB."""

# --- input
MAX_INPUT_BYTES: Final = 1 << 20
"""A stack or values file over 1 MiB is refused before parsing."""
MAX_NODES: Final = 100_000
"""Nodes of one YAML document, aliases expanded: stops an alias bomb early."""
MAX_DEPTH: Final = 100
"""Nesting of one YAML document."""

# --- execution
WORKERS: Final = 6
"""Operations at once: helm is CPU-bound for a second, then waits for the API server."""
CRDS_AT_ONCE: Final = 8
"""CRDs of all components together that are applied and not served yet. Each makes the API server compile schemas for a
tenth of a second or more: those that the run waits for longest come before the others."""

# --- checks
CHECK_WORKERS: Final = 6
"""Checks at once: they wait for answers, and the API server has its own work."""
CHECK_PATIENCE_S: Final = 5.0
"""How long ``verify`` asks again for an answer that is not good yet; after a change it is the check's own timeout."""
CHECK_QUIET_S: Final = 5.0
"""A check that has its answer in this time says nothing before that."""
CHECK_SAY_S: Final = 10.0
"""Shortest time between two different lines about what one check waits for: the state of a rollout changes often."""
CHECK_REPEAT_S: Final = 60.0
"""After this time the same line is shown again: CI systems end jobs that are silent for minutes."""
CHECK_REQUEST_S: Final = 10.0
"""One request of a check: what a person would still wait for in a browser."""
CHECK_CLEANUP_S: Final = 10.0
"""For deleting what a check made, also after Ctrl-C."""
CHECK_BODY_BYTES: Final = 4 << 20
"""Of an answer's body so much is read; a page of metrics has one MiB."""
WATCH_VERIFY_S: Final = 30.0
"""Between two rounds of ``verify --watch``: the interval of a scrape."""
WATCH_STATUS_S: Final = 2.0
"""Between two looks of ``status --watch``; a look takes half a second."""

# --- CRDs
CRD_SERVED_S: Final = 30.0
"""A version that was added to a CRD is served in a tenth of a second; a busy API server takes seconds."""
CRD_SETTLE_S: Final = 5.0
"""Until every API server of a cluster writes in the new storage version; they tell each other by watch."""
CRD_GONE_S: Final = 60.0
"""A CRD without custom resources goes in a second."""

# --- removal
NAMESPACE_GONE_S: Final = 120.0
"""The namespace controller works through a full namespace in seconds, and tries again after a minute at most."""
NAMESPACE_SETTLE_S: Final = 60.0
"""Pods that end have 30 s by default, and the garbage collector needs a moment."""
REMOVAL_POLL_S: Final = 0.3
"""Between two looks at what is being deleted."""

# --- secrets
SECRET_COMMAND_TIMEOUT_S: Final = 60.0
"""A password manager may have to unlock itself or ask a server; a person who is asked on a device needs a while."""
MAX_SECRET_BYTES: Final = 1_000_000
"""The API server takes 1 MiB a Secret, encoding and names included."""

SYSTEM_NAMESPACE: Final = "sparkrig-system"
"""Where revisions and locks live."""
FIELD_MANAGER: Final = "sparkrig"
"""Field manager of everything we apply ourselves."""
LABEL_STACK: Final = "sparkrig.dev/stack"
LABEL_FORMER: Final = "sparkrig.dev/former-stack"
"""In place of LABEL_STACK on what a stack gave up (``--keep``): who may take it back."""
LABEL_COMPONENT: Final = "sparkrig.dev/component"
LABEL_REVISION: Final = "sparkrig.dev/revision"
LABEL_STATUS: Final = "sparkrig.dev/status"
LABEL_SECRET: Final = "sparkrig.dev/secret"  # noqa: S105 - a label's name
"""On Secrets made from the stack file; beside LABEL_STACK, which helm puts on its own Secrets too."""
LABEL_HELM_HISTORY: Final = "sparkrig.dev/helm-history"
"""On copies of Helm's release Secrets whose namespace was removed."""
LABEL_CHECK: Final = "sparkrig.dev/check"
"""On every object that a check makes, so that what a killed run left behind can be found."""
MARK_CONFIGMAP: Final = "sparkrig-cluster"
"""ConfigMap in SYSTEM_NAMESPACE that marks a test cluster and records the stand-ins choice."""

# --- tools
TOOL_BUILD_TIMEOUT_S: Final = 1800.0
"""A cold build of the control plane takes four minutes on two cores; slow machines exist."""
TOOL_DOWNLOAD_TIMEOUT_S: Final = 1800.0
"""The largest file has 84 MB, eleven minutes on a line of one megabit a second; building it fetches more than that."""
TOOL_REACH_TIMEOUT_S: Final = 5.0
"""Looking up a host's name and connecting to it, all its addresses together."""
PROBE_TIMEOUT_S: Final = 3.0
"""How long the probe for the upstream chart repositories may take."""
SIM_READY_TIMEOUT_S: Final = 90.0
"""kwokctl's own wait; ready after 3.3 s on two idle cores."""

# --- tools and clusters of this machine
TOOL_PROBE_TIMEOUT_S: Final = 20.0
"""A version command takes 0.1 s; on a machine that is busy building, seconds."""
TOOL_STALL_TIMEOUT_S: Final = 30.0
"""No byte in this time means a dead connection."""
PIP_TIMEOUT_S: Final = 600.0
"""230 MB unpacked, 12,000 files."""
TOOL_TERM_GRACE_S: Final = 5.0
"""From TERM to KILL: go has nothing to save, it only needs to stop its compilers."""
KIND_ENGINE_TIMEOUT_S: Final = 5.0
"""An engine that runs answers in a tenth of a second."""
KIND_CREATE_TIMEOUT_S: Final = 600.0
"""The node image is 400 MB and may have to be pulled first."""
KIND_QUERY_TIMEOUT_S: Final = 30.0
"""A kind process that only reads; it asks the container engine."""
SIM_KILL_WAIT_S: Final = 10.0
"""A killed etcd gives its pages back in well under a second."""
SIM_LOCK_TIMEOUT_S: Final = 300.0
"""Another run that creates the same cluster and builds nothing is done in seconds; one that is stuck is named."""

# --- preflight
CLOCK_SKEW_WARN_S: Final = 10.0
"""The lock's heartbeat tolerates it; a person should know."""
CLOCK_SKEW_FAIL_S: Final = 300.0
"""Tokens and new certificates are refused as not yet valid or expired."""
