"""Content negotiation: what form the caller wants an answer in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from mini8s.objects.errors import NotAcceptable

JSON = "application/json"
YAML = "application/yaml"
TEXT = "text/plain"

READ = "read"
PARTIAL = "PartialObjectMetadata"

_META_VERSIONS = ("v1", "v1beta1")
_FORMS = ("Table", PARTIAL, f"{PARTIAL}List")
_BY_WORD = {"json": (JSON, ""), "yaml": (YAML, READ), "table": (TEXT, ""), "wide": (TEXT, "wide")}
_PLAIN = {
    JSON: JSON,
    "*/*": JSON,
    "application/*": JSON,
    YAML: YAML,
    "text/yaml": YAML,
    TEXT: TEXT,
    "text/*": TEXT,
}


@dataclass(frozen=True, slots=True)
class Representation:
    """`media` is how it is encoded, `form` what is: "" the object itself, Table, PartialObjectMetadata; for
    text, wide; for YAML, READ: by a person, who is not shown who manages which fields."""

    media: str = JSON
    form: str = ""
    version: str = "v1"  # of meta.k8s.io, for Table and PartialObjectMetadata

    @property
    def plain(self) -> bool:
        """Stored bytes can go out as they are."""
        return self.media == JSON and not self.form

    @property
    def content_type(self) -> str:
        if self.media == TEXT:
            return "text/plain; charset=utf-8"
        return self.media


DEFAULT = Representation()


@lru_cache(maxsize=256)
def negotiate(accept: str, word: str = "") -> Representation:
    """The first acceptable form; `word` is our own `?as=`. Raises NotAcceptable."""
    if word:
        media, form = _BY_WORD.get(word, ("", ""))
        if not media:
            raise NotAcceptable(f"as={word}: only the following are supported: {', '.join(_BY_WORD)}")
        return Representation(media, form)
    if not accept:
        return DEFAULT
    for clause in _by_preference(accept):
        found = _clause(clause)
        if found is not None:
            return found
    raise NotAcceptable(f"only the following media types are accepted: {JSON}, {YAML}, {TEXT}")


@lru_cache(maxsize=256)
def parameters(clause: str) -> tuple[str, dict[str, str]]:
    """`application/json;as=Table;v=v1` as its media type and its parameters."""
    media, *rest = (part.strip() for part in clause.split(";"))
    pairs = (part.partition("=") for part in rest)
    return media.lower(), {key.strip().lower(): value.strip() for key, _, value in pairs}


def _by_preference(accept: str) -> list[str]:
    clauses = [clause for clause in accept.split(",") if clause.strip()]
    return sorted(clauses, key=lambda clause: -_quality(clause))


def _quality(clause: str) -> float:
    try:
        return float(parameters(clause)[1].get("q", "1"))
    except ValueError:
        return 0.0


def _clause(clause: str) -> Representation | None:
    media, said = parameters(clause)
    encoded = _PLAIN.get(media)
    if encoded is None:
        return None
    form = said.get("as", "")
    if not form:
        return Representation(encoded)
    version = said.get("v", "v1")
    if form not in _FORMS or version not in _META_VERSIONS or said.get("g", "meta.k8s.io") != "meta.k8s.io":
        return None
    return Representation(encoded, form.removesuffix("List"), version)
