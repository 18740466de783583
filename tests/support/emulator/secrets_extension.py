"""A stand-in for AWS's Parameters and Secrets Lambda Extension, which MiniStack does not run: it asks MiniStack."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PORT = 2773


@contextmanager
def secrets_extension(secretsmanager: Any) -> Iterator[list[str]]:  # noqa: ANN401 (boto3's client)
    """Serve secrets on the extension's port; yields the names that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            (arn,) = parse_qs(urlsplit(self.path).query)["secretId"]
            asked.append(arn)
            found = secretsmanager.get_secret_value(SecretId=arn)
            body = json.dumps({"ARN": arn, "SecretString": found["SecretString"]}).encode()
            self.send_response(200 if self.headers["X-Aws-Parameters-Secrets-Token"] else 400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()
