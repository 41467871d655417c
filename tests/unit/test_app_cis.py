"""What packaging/CIS.md says of settings, ciphers and doors."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fakes.http import FakeServer
from gunicorn.app.base import BaseApplication
from gunicorn.sock import ssl_context

from mini8s.app import bootstrap, wsgi
from mini8s.app.layout import agent_files, server_files
from mini8s.config import ServerSettings


def test_settings_are_safe_from_the_start() -> None:
    settings = ServerSettings()
    assert settings.token_auth_file == ""
    assert settings.write_kubeconfig_mode == "600"
    kept = settings.audit_log_maxage, settings.audit_log_maxbackup, settings.audit_log_maxsize
    assert kept == (30, 10, 100)


def test_only_strong_ciphers(tmp_path: Path) -> None:
    files = server_files(str(tmp_path))
    plan = bootstrap.Plan(("localhost",), "https://localhost:6443")
    bootstrap.prepare_server(files, agent_files(str(tmp_path)), plan, datetime.now(UTC))
    tls = wsgi.Tls(wsgi.TlsFiles(*map(str, (files.serving, files.serving_key, files.ca))))

    class Known(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            for name, value in wsgi._options(tls, lambda: None).items():
                self.cfg.set(name, value)

    context = ssl_context(Known().cfg)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_OPTIONAL
    for cipher in context.get_ciphers():
        assert cipher["protocol"] in {"TLSv1.2", "TLSv1.3"}
        assert cipher["aead"], cipher["name"]
        assert cipher["protocol"] == "TLSv1.3" or cipher["name"].startswith("ECDHE-"), cipher["name"]


@pytest.mark.parametrize("path", ["/debug/pprof", "/debug/pprof/", "/debug/flags/v", "/configz"])
def test_there_is_no_profiling(path: str) -> None:
    assert FakeServer().ask("GET", path).code == 404
