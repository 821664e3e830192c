"""An S3-compatible server on loopback, which may answer 503 now and then."""

import itertools
import logging
import threading
from collections import Counter

from moto.server import DomainDispatcherApplication, create_backend_app
from pyarrow import fs as pafs
from werkzeug.serving import make_server

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "of-no-account",
    "AWS_EC2_METADATA_DISABLED": "true",
}
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


class ObjectStore:
    """A server that answers every `refuse_every`-th request with 503; 0: none. A context manager."""

    def __init__(self, refuse_every=0):
        self.refuse_every = refuse_every
        self.requests = itertools.count(1)
        self.refused = 0
        self.paths = Counter()
        self.ranges = []
        self._app = DomainDispatcherApplication(create_backend_app)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        pafs.FileSystem.from_uri(self.uri("") + "&allow_bucket_creation=true")[0].create_dir("bucket")
        return self

    def __exit__(self, *exception):
        self._server.shutdown()

    def uri(self, path):
        """A URI of `path` in the server's bucket."""
        return f"s3://bucket/{path}?endpoint_override=127.0.0.1:{self._server.port}&scheme=http&region=us-east-1"

    def _answer(self, environ, start_response):
        if self.refuse_every and next(self.requests) % self.refuse_every == 0:
            self.refused += 1
            start_response("503 Slow Down", [("Content-Type", "application/xml")])
            return [SLOW_DOWN]
        self.paths[environ["REQUEST_METHOD"], environ["PATH_INFO"]] += 1
        if environ["REQUEST_METHOD"] == "GET":
            self.ranges.append(environ.get("HTTP_RANGE"))
        return self._app(environ, start_response)
