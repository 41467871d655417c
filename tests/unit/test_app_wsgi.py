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
    assert "handler_class=self.wsgi_handler" in source(ggevent.GeventWorker.run)
    assert "self.wrap_socket(client_socket, **self.ssl_args)" in source(
        server.StreamServer.wrap_socket_and_handle
    )
    assert "_handle_and_close_when_done" in source(baseserver.BaseServer.do_handle)


def test_a_connection_is_handled_as_our_handler_expects() -> None:
    handle = source(pywsgi.WSGIHandler.handle)
    assert "result = self.handle_one_request()" in handle
    assert "self.status, response_body = result" in handle
    response = source(pywsgi.WSGIHandler.handle_one_response)
    assert "self.run_application()" in response
    assert "self.wsgi_input._discard()" in response
    assert "self.application(self.environ, self.start_response)" in source(pywsgi.WSGIHandler.run_application)
    assert "self.headers." not in response  # which we don't make


def test_an_answer_is_written_as_our_handler_expects() -> None:
    """`api.answer.send` counts on a written nothing for streams; pywsgi drops an empty first chunk of an
    iterator."""
    written = source(pywsgi.WSGIHandler.write)
    assert "self.status" in written
    assert "self._write_with_headers(data)" in written
    final = source(pywsgi.WSGIHandler.finalize_headers)
    assert "if self.provided_date is None" in final
    assert "if self.provided_content_length is None" in final
    assert "self.request_version != 'HTTP/1.0'" in final
    assert "self._sendall(" in source(pywsgi.WSGIHandler._write)


def test_a_body_is_read_and_discarded_where_we_limit_it() -> None:
    assert list(inspect.signature(pywsgi.Input.__init__).parameters)[1:5] == [
        "rfile",
        "content_length",
        "socket",
        "chunked_input",
    ]
    discard = source(pywsgi.Input._discard)
    assert "self.position < (self.content_length or 0) or self.chunked_input" in discard
    assert "self.read(16384)" in discard


def test_every_setting_is_known() -> None:
    class Known(BaseApplication):
        def load_config(self) -> None:
            for name, value in wsgi._options(wsgi.Tls(wsgi.TlsFiles("", "", "")), lambda: None).items():
                self.cfg.set(name, value)

    assert 0 < Known().cfg.worker_connections <= wsgi.MAX_CONNECTIONS
