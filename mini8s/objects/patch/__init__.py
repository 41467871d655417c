"""The patches a client may send, each a pure function from a document and a patch to a new document.

Neither argument is changed; the result may share parts with both. What a patch is wrong about is an ApiError
with upstream's code. (Server-side apply, the fourth kind, is `objects.apply`.)
"""

from __future__ import annotations

from mini8s.objects.patch.json import json_patch
from mini8s.objects.patch.merge import merge_patch
from mini8s.objects.patch.strategic import strategic_merge

__all__ = ["json_patch", "merge_patch", "strategic_merge"]
