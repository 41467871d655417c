"""What `app/wsgi.py` relies on inside gunicorn and gevent. When a new version changes it, this says what."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from gevent import baseserver, pywsgi, server
from gunicorn.app.base import BaseApplication
from gunicorn.workers import base, ggevent, workertmp

from mini8s.app import wsgi


def source(thing: Callable[..., Any] | type) -> str:
    return inspect.getsource(thing)


def test_the_worker_is_made_without_an_arbiter() -> None:
    parameters = list(inspect.signature(base.Worker.__init__).parameters)
    assert parameters == ["self", "age", "ppid", "sockets", "app", "timeout", "cfg", "log"]
    assert "self.run()" in source(base.Worker.init_process)
    assert "self.init_signals()" in source(base.Worker.init_process)
    assert "self.patch()" in source(ggevent.GeventWorker.init_process)
    assert "worker_tmp_dir" in source(workertmp.WorkerTmp)


def test_gunicorns_loop_is_the_one_we_end() -> None:
    loop = source(ggevent.GeventWorker.run)
    assert "while self.alive:\n            self.notify()\n            gevent.sleep(1.0)" in loop
    assert "server = self.server_class(" in loop  # which we replace on the instance
    assert "ssl_context" in loop  # which the unix socket must not get
    assert "server.pool.free_count() != server.pool.size" in loop  # idle connections count as busy


def test_the_servers_and_handlers_are_gevents() -> None:
    assert issubclass(ggevent.PyWSGIServer, pywsgi.WSGIServer)
    assert issubclass(ggevent.PyWSGIHandler, pywsgi.WSGIHandler)
    assert "self.wrap_socket(client_socket, **self.ssl_args)" in source(
        server.StreamServer.wrap_socket_and_handle
    )
    assert "_handle_and_close_when_done" in source(baseserver.BaseServer.do_handle)


def test_a_handler_has_the_steps_that_we_step_into() -> None:
    steps = source(pywsgi.WSGIHandler.handle_one_request).rpartition('"""')[2]
    order = ["self.read_requestline()", "self.read_request(", "self.environ = self.get_environ()"]
    assert [steps.find(step) for step in order] == sorted(steps.index(step) for step in order)
    assert "self.handle_one_response()" in steps
    assert "MAX_REQUEST_LINE" in source(pywsgi.WSGIHandler.read_requestline)
    assert "self.run_application()" in source(pywsgi.WSGIHandler.handle_one_response)
    assert "self.wsgi_input._discard()" in source(pywsgi.WSGIHandler.handle_one_response)
    assert "isinstance(ex, (ValueError" in source(pywsgi.WSGIHandler._handle_client_error)


def test_writing_nothing_sends_the_headers() -> None:
    """`api.answer.send` counts on it for streams; pywsgi drops an empty first chunk of an iterator."""
    assert "self._write_with_headers(data)" in source(pywsgi.WSGIHandler.write)
    written = source(pywsgi.WSGIHandler._write_with_headers)
    assert "self.headers_sent = True\n        self.finalize_headers()" in written
    assert "self._sendall(towrite)" in written  # what we hold back, so that it goes with the body
    assert "self._sendall(" in source(pywsgi.WSGIHandler._write)


def test_a_body_is_read_and_discarded_where_we_limit_it() -> None:
    assert list(inspect.signature(pywsgi.Input.__init__).parameters)[1:5] == [
        "rfile",
        "content_length",
        "socket",
        "chunked_input",
    ]
    assert "self.read(16384)" in source(pywsgi.Input._discard)


def test_every_setting_is_known() -> None:
    class Known(BaseApplication):
        def load_config(self) -> None:
            for name, value in wsgi._options(wsgi.TlsFiles("", "", ""), lambda: None).items():
                self.cfg.set(name, value)

    assert 0 < Known().cfg.worker_connections <= wsgi.MAX_CONNECTIONS


def test_long_request_lines_are_let_in() -> None:
    assert pywsgi.MAX_REQUEST_LINE >= 1 << 20
