"""The kinds that mini8s serves, as one visible table.

Everything that needs to know which kinds there are reads this table: routes, discovery, the registry,
clients, the CLI. A kind's behaviour is elsewhere (`registry/kinds/` on the server, `objects/schema` for its
fields).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

Obj = dict[str, Any]  # an API object as JSON has it; one that came from a cache is never changed in place

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """One resource: `kind` names the object, `plural` the path segment, `subresources` what hangs below an
    object. A kind is equal to itself only: kinds are looked up by kind at every step of every request, and to
    compare a dozen fields each time would cost more than the step.

    `resource` is `pods` or `deployments.apps`: unique, as kubectl prints it, and the first part of a store
    key."""

    group: str  # "" is the core group
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    ephemeral: bool = False  # written lazily: losing the newest of it in a power cut does no harm
    verbs: tuple[str, ...] = ALL_VERBS
    deprecated: str = ""  # what the Warning header says to whoever uses it
    storage: Kind | None = None  # of one object served in several versions: the kind it is stored as
    kept: bool = True  # whether there are objects of it in the store; a review is answered and forgotten
    api_version: str = field(init=False, repr=False)
    resource: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        grouped = bool(self.group)
        made = f"{self.group}/{self.version}" if grouped else self.version
        object.__setattr__(self, "api_version", made)
        object.__setattr__(self, "resource", f"{self.plural}.{self.group}" if grouped else self.plural)

    @property
    def stored(self) -> Kind:
        """The kind that holds the objects: itself, but for a further version of another."""
        return self.storage or self

    @property
    def singular(self) -> str:
        return self.kind.lower()

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of a collection, an object or a subresource."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/" + "/".join(parts)

    def prefix(self, namespace: str = "") -> str:
        """The store prefix of all objects of this kind, or of those in one namespace. Ends with a slash."""
        resource = (self.storage or self).resource
        return f"/{resource}/{namespace}/" if self.namespaced and namespace else f"/{resource}/"

    def key(self, namespace: str, name: str) -> str:
        """The store key of one object."""
        return self.prefix(namespace) + name


# the verbs of kinds whose objects are answered and not kept: those that ask, and those that show
_CREATE, _READ = ("create",), ("get", "list")
_ALL = ("all",)  # the category of `kubectl get all`
_STATUS, _SCALE = ("status",), ("status", "scale")

NAMESPACES = Kind("", "v1", "Namespace", "namespaces", False, ("ns",), subresources=("status", "finalize"))
PROXY = "proxy"  # the subresource whose URLs go on below it
NODES = Kind("", "v1", "Node", "nodes", False, ("no",), (), ("status", PROXY))
CONNECTS = ("exec", "attach", "portforward")  # subresources that are upgraded to a stream
_OF_PODS = ("status", "ephemeralcontainers", "resize", "binding", "eviction", "log", *CONNECTS, PROXY)
PODS = Kind("", "v1", "Pod", "pods", True, ("po",), _ALL, _OF_PODS)
SERVICES = Kind("", "v1", "Service", "services", True, ("svc",), _ALL, ("status", PROXY))
_USE_SLICES = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
ENDPOINTS = Kind("", "v1", "Endpoints", "endpoints", True, ("ep",), deprecated=_USE_SLICES)
CONFIGMAPS = Kind("", "v1", "ConfigMap", "configmaps", True, ("cm",))
SECRETS = Kind("", "v1", "Secret", "secrets")
EVENTS = Kind("", "v1", "Event", "events", True, ("ev",), ephemeral=True)
SERVICEACCOUNTS = Kind("", "v1", "ServiceAccount", "serviceaccounts", True, ("sa",), (), ("token",))
PODTEMPLATES = Kind("", "v1", "PodTemplate", "podtemplates")
REPLICATIONCONTROLLERS = Kind(
    "", "v1", "ReplicationController", "replicationcontrollers", True, ("rc",), _ALL, _SCALE
)
RESOURCEQUOTAS = Kind("", "v1", "ResourceQuota", "resourcequotas", True, ("quota",), (), _STATUS)
LIMITRANGES = Kind("", "v1", "LimitRange", "limitranges", True, ("limits",))
PERSISTENTVOLUMES = Kind("", "v1", "PersistentVolume", "persistentvolumes", False, ("pv",), (), _STATUS)
PERSISTENTVOLUMECLAIMS = Kind(
    "", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", True, ("pvc",), (), _STATUS
)
BINDINGS = Kind("", "v1", "Binding", "bindings", verbs=_CREATE, kept=False)
DEPLOYMENTS = Kind("apps", "v1", "Deployment", "deployments", True, ("deploy",), _ALL, _SCALE)
REPLICASETS = Kind("apps", "v1", "ReplicaSet", "replicasets", True, ("rs",), _ALL, _SCALE)
STATEFULSETS = Kind("apps", "v1", "StatefulSet", "statefulsets", True, ("sts",), _ALL, _SCALE)
DAEMONSETS = Kind("apps", "v1", "DaemonSet", "daemonsets", True, ("ds",), _ALL, _STATUS)
CONTROLLERREVISIONS = Kind("apps", "v1", "ControllerRevision", "controllerrevisions")
JOBS = Kind("batch", "v1", "Job", "jobs", True, (), _ALL, _STATUS)
CRONJOBS = Kind("batch", "v1", "CronJob", "cronjobs", True, ("cj",), _ALL, _STATUS)
AUTOSCALERS = Kind(
    "autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", True, ("hpa",), _ALL, _STATUS
)
AUTOSCALERS_V1 = replace(AUTOSCALERS, version="v1", storage=AUTOSCALERS)
INGRESSES = Kind("networking.k8s.io", "v1", "Ingress", "ingresses", True, ("ing",), (), _STATUS)
INGRESSCLASSES = Kind("networking.k8s.io", "v1", "IngressClass", "ingressclasses", False)
NETWORKPOLICIES = Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", True, ("netpol",))
DISRUPTIONBUDGETS = Kind(
    "policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", True, ("pdb",), (), _STATUS
)
ROLES = Kind("rbac.authorization.k8s.io", "v1", "Role", "roles")
ROLEBINDINGS = Kind("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings")
CLUSTERROLES = Kind("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", False)
CLUSTERROLEBINDINGS = Kind(
    "rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", False
)
PRIORITYCLASSES = Kind("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", False, ("pc",))
STORAGECLASSES = Kind("storage.k8s.io", "v1", "StorageClass", "storageclasses", False, ("sc",))
VOLUMEATTACHMENTS = Kind(
    "storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments", False, (), (), _STATUS
)
CSIDRIVERS = Kind("storage.k8s.io", "v1", "CSIDriver", "csidrivers", False)
CSINODES = Kind("storage.k8s.io", "v1", "CSINode", "csinodes", False)
CSISTORAGECAPACITIES = Kind("storage.k8s.io", "v1", "CSIStorageCapacity", "csistoragecapacities")
LEASES = Kind("coordination.k8s.io", "v1", "Lease", "leases", ephemeral=True)
ENDPOINTSLICES = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
EVENTS_V1 = replace(EVENTS, group="events.k8s.io", storage=EVENTS)
RUNTIMECLASSES = Kind("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", False)
SIGNINGREQUESTS = Kind(
    "certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests", False, ("csr",),
    (), ("status", "approval"),
)  # fmt: skip
TOKENREVIEWS = Kind(
    "authentication.k8s.io", "v1", "TokenReview", "tokenreviews", False, verbs=_CREATE, kept=False
)
SELFSUBJECTREVIEWS = Kind(
    "authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", False, verbs=_CREATE, kept=False
)
ACCESSREVIEWS = Kind(
    "authorization.k8s.io",
    "v1",
    "SubjectAccessReview",
    "subjectaccessreviews",
    False,
    verbs=_CREATE,
    kept=False,
)
SELFACCESSREVIEWS = replace(ACCESSREVIEWS, kind="SelfSubjectAccessReview", plural="selfsubjectaccessreviews")
SELFRULESREVIEWS = replace(ACCESSREVIEWS, kind="SelfSubjectRulesReview", plural="selfsubjectrulesreviews")
LOCALACCESSREVIEWS = replace(
    ACCESSREVIEWS, kind="LocalSubjectAccessReview", plural="localsubjectaccessreviews", namespaced=True
)
NODEMETRICS = Kind("metrics.k8s.io", "v1beta1", "NodeMetrics", "nodes", False, verbs=_READ, kept=False)
PODMETRICS = Kind("metrics.k8s.io", "v1beta1", "PodMetrics", "pods", verbs=_READ, kept=False)

KINDS: tuple[Kind, ...] = (
    NAMESPACES, NODES, PODS, SERVICES, ENDPOINTS, CONFIGMAPS, SECRETS, EVENTS, SERVICEACCOUNTS, PODTEMPLATES,
    REPLICATIONCONTROLLERS, RESOURCEQUOTAS, LIMITRANGES, PERSISTENTVOLUMES, PERSISTENTVOLUMECLAIMS, BINDINGS,
    DEPLOYMENTS, REPLICASETS, STATEFULSETS, DAEMONSETS, CONTROLLERREVISIONS,
    JOBS, CRONJOBS,
    AUTOSCALERS, AUTOSCALERS_V1,
    INGRESSES, INGRESSCLASSES, NETWORKPOLICIES,
    DISRUPTIONBUDGETS,
    ROLES, ROLEBINDINGS, CLUSTERROLES, CLUSTERROLEBINDINGS,
    PRIORITYCLASSES,
    STORAGECLASSES, VOLUMEATTACHMENTS, CSIDRIVERS, CSINODES, CSISTORAGECAPACITIES,
    LEASES,
    ENDPOINTSLICES,
    EVENTS_V1,
    RUNTIMECLASSES,
    SIGNINGREQUESTS,
    TOKENREVIEWS, SELFSUBJECTREVIEWS,
    ACCESSREVIEWS, SELFACCESSREVIEWS, SELFRULESREVIEWS, LOCALACCESSREVIEWS,
    NODEMETRICS, PODMETRICS,
)  # fmt: skip

# Those that have objects of their own in the store: neither answered only, nor another version.
STORED: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind.kept and kind.storage is None)

_BY_PATH = {(kind.group, kind.version, kind.plural): kind for kind in KINDS}
_BY_KIND = {(kind.api_version, kind.kind): kind for kind in KINDS}
_BY_WORD = {
    word: kind
    for kind in reversed(KINDS)
    for word in (
        kind.kind.lower(),
        kind.plural,
        kind.resource,
        f"{kind.plural}.{kind.version}.{kind.group}",
        *kind.short,
    )
}


def by_path(group: str, version: str, plural: str) -> Kind | None:
    """The kind served at `/apis/GROUP/VERSION/PLURAL` (`/api/v1/PLURAL` for group "")."""
    return _BY_PATH.get((group, version, plural))


def by_kind(api_version: str, kind: str) -> Kind | None:
    """The kind that an object's own `apiVersion` and `kind` name."""
    return _BY_KIND.get((api_version, kind))


def by_word(word: str) -> Kind | None:
    """The kind a person means by `po`, `pod`, `pods`, `deployments.apps`."""
    return _BY_WORD.get(word.lower())
