"""The one action of Lambda's HTTP API that operators need: Invoke, synchronous or asynchronous."""

import json
import re
import uuid
from collections.abc import Mapping
from urllib.parse import unquote

from aiohttp import web

from localcloud.compute.asynchronous import Asynchronous
from localcloud.compute.pools import FunctionPool, Throttled
from localcloud.gateway.http_api import Handler
from localcloud.services.aws_api import AwsError, check_signature, read_body

_INVOKE = re.compile(r"/2015-03-31/functions/([^/]+)/invocations$")
_STATUS = {"ResourceNotFoundException": 404, "TooManyRequestsException": 429}


def lambda_handler(pools: Mapping[str, FunctionPool], asynchronous: Asynchronous) -> Handler:
    """Serve these functions, named by logical id or ARN."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        try:
            check_signature(request, "lambda")
            return await _invoke(request, pools, asynchronous)
        except AwsError as error:
            body = json.dumps({"Type": "User", "Message": str(error)}).encode()
            status = _STATUS.get(error.code, error.status)
            return web.Response(status=status, body=body, headers={"x-amzn-errortype": error.code})

    return handle


async def _invoke(
    request: web.BaseRequest, pools: Mapping[str, FunctionPool], asynchronous: Asynchronous
) -> web.Response:
    match = _INVOKE.search(request.raw_path.partition("?")[0])
    if request.method != "POST" or match is None:
        raise AwsError("UnknownOperationException", "Only Invoke is supported here.", status=404)
    name = unquote(match[1]).partition(":function:")[2] or unquote(match[1])
    if name not in pools:
        raise AwsError("ResourceNotFoundException", f"Function not found: {name}")
    payload = await read_body(request) or b"{}"
    if request.headers.get("X-Amz-Invocation-Type") == "Event":
        return web.Response(status=202, headers={"x-amzn-requestid": asynchronous.invoke(name, payload)})
    request_id = str(uuid.uuid4())
    try:
        outcome = await pools[name].invoke(payload, request_id=request_id)
    except Throttled as throttled:
        raise AwsError("TooManyRequestsException", str(throttled)) from throttled
    headers = {"x-amzn-requestid": request_id, "x-amz-executed-version": "$LATEST"}
    if outcome.error is not None:
        headers["x-amz-function-error"] = "Unhandled"
    return web.Response(body=outcome.payload, headers=headers)
