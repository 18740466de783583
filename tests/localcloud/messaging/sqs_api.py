"""The HTTP API of SQS, the part that senders, receivers and operators of dead letters use."""

import time
from collections.abc import Callable, Mapping

from localcloud.messaging.messages import Message, MoveTask, NoSuchQueue, NotAccepted, Received, StaleReceipt
from localcloud.messaging.queues import Queues
from localcloud.messaging.sqs_message import attributes_md5, md5, sequence_number, system_attributes
from localcloud.services.aws_api import Action, AwsError, JsonService, Parameters, Protocol, number, objects, text
from localcloud.services.causes import TRACE_HEADER
from localcloud.stack.events import QueueSpec, queue_named_by

_LARGEST_BATCH = 10
_LONGEST_DELAY_SECONDS = 900
_LONGEST_VISIBILITY_SECONDS = 43_200
_LONGEST_WAIT_SECONDS = 20
_MOST_MOVES = 10

type _Answer = dict[str, object]


def sqs_service(queues: Queues, base_url: str) -> JsonService:
    """Serve these queues; their URLs begin with `base_url`."""
    api = _SqsApi(queues, base_url)
    actions: dict[str, Action] = {
        "ChangeMessageVisibility": api.change_message_visibility,
        "ChangeMessageVisibilityBatch": api.change_message_visibility_batch,
        "DeleteMessage": api.delete_message,
        "DeleteMessageBatch": api.delete_message_batch,
        "GetQueueAttributes": api.get_queue_attributes,
        "GetQueueUrl": api.get_queue_url,
        "ListDeadLetterSourceQueues": api.list_dead_letter_source_queues,
        "ListMessageMoveTasks": api.list_message_move_tasks,
        "ListQueues": api.list_queues,
        "PurgeQueue": api.purge_queue,
        "ReceiveMessage": api.receive_message,
        "SendMessage": api.send_message,
        "SendMessageBatch": api.send_message_batch,
        "StartMessageMoveTask": api.start_message_move_task,
    }
    return JsonService(
        Protocol("sqs", "AmazonSQS", "1.0", "com.amazonaws.sqs#"),
        {name: _with_errors(action) for name, action in actions.items()},
    )


def _with_errors(action: Action) -> Action:
    """Turn the queues' exceptions into SQS's errors."""

    async def act(parameters: Parameters) -> Mapping[str, object]:
        try:
            return await action(parameters)
        except NoSuchQueue as error:
            raise _no_such_queue() from error
        except NotAccepted as error:
            raise AwsError(error.code, str(error), query_code=error.code) from error
        except StaleReceipt as error:
            raise AwsError("ReceiptHandleIsInvalid", str(error), query_code="ReceiptHandleIsInvalid") from error

    return act


def _no_such_queue() -> AwsError:
    code = "AWS.SimpleQueueService.NonExistentQueue"
    return AwsError("QueueDoesNotExist", "The specified queue does not exist.", query_code=code)


class _SqsApi:
    """One method per action, with the action's name."""

    def __init__(self, queues: Queues, base_url: str) -> None:
        self._queues = queues
        self._base_url = base_url.rstrip("/")

    async def send_message(self, parameters: Parameters) -> _Answer:
        return self._send(_queue(parameters), parameters)

    async def send_message_batch(self, parameters: Parameters) -> _Answer:
        name = _queue(parameters)
        return self._batch(name, parameters, lambda entry: self._send(name, entry))

    def _send(self, name: str, entry: Parameters) -> _Answer:
        delay = number(entry, "DelaySeconds", 0, _LONGEST_DELAY_SECONDS)
        message = Message(
            body=text(entry, "MessageBody"),
            attributes=_attributes(entry),
            group=text(entry, "MessageGroupId", "") or None,
            deduplication_id=text(entry, "MessageDeduplicationId", "") or None,
            delay_seconds=delay,
            trace_header=_trace_header(entry),
        )
        sent = self._queues.send(name, message)
        answer: _Answer = {"MessageId": sent.message_id, "MD5OfMessageBody": md5(message.body)}
        if message.attributes:
            answer["MD5OfMessageAttributes"] = attributes_md5(message.attributes)
        if self._queues.spec(name).fifo:
            answer["SequenceNumber"] = sequence_number(sent.sequence)
        return answer

    async def receive_message(self, parameters: Parameters) -> _Answer:
        name = _queue(parameters)
        spec = self._queues.spec(name)
        most = number(parameters, "MaxNumberOfMessages", 1, _LARGEST_BATCH) or 1
        visibility = number(parameters, "VisibilityTimeout", 0, _LONGEST_VISIBILITY_SECONDS)
        wait = number(parameters, "WaitTimeSeconds", 0, _LONGEST_WAIT_SECONDS)
        give_up_at = time.monotonic() + (spec.wait_seconds if wait is None else wait)
        while True:
            messages = self._queues.receive(name, most, visibility)
            left = give_up_at - time.monotonic()
            if messages or left <= 0:
                break
            await self._queues.wait(name, left)
        return {"Messages": [_shown(message, parameters) for message in messages]} if messages else {}

    async def delete_message(self, parameters: Parameters) -> _Answer:
        self._queues.delete(_queue(parameters), text(parameters, "ReceiptHandle"))
        return {}

    async def delete_message_batch(self, parameters: Parameters) -> _Answer:
        name = _queue(parameters)

        def delete(entry: Parameters) -> _Answer:
            self._queues.delete(name, text(entry, "ReceiptHandle"))
            return {}

        return self._batch(name, parameters, delete)

    async def change_message_visibility(self, parameters: Parameters) -> _Answer:
        self._change_visibility(_queue(parameters), parameters)
        return {}

    async def change_message_visibility_batch(self, parameters: Parameters) -> _Answer:
        name = _queue(parameters)

        def change(entry: Parameters) -> _Answer:
            self._change_visibility(name, entry)
            return {}

        return self._batch(name, parameters, change)

    def _change_visibility(self, name: str, parameters: Parameters) -> None:
        seconds = number(parameters, "VisibilityTimeout", 0, _LONGEST_VISIBILITY_SECONDS)
        if seconds is None:
            raise AwsError("MissingParameter", "The request must contain the parameter VisibilityTimeout.")
        receipt = text(parameters, "ReceiptHandle")
        try:
            self._queues.change_visibility(name, receipt, seconds)
        except StaleReceipt as error:
            reason = f"Value {receipt} for parameter ReceiptHandle is invalid. Reason: {error}."
            raise AwsError("MessageNotInflight", reason) from error

    async def get_queue_url(self, parameters: Parameters) -> _Answer:
        name = text(parameters, "QueueName")
        return {"QueueUrl": self._url(self._queues.spec(name))}

    async def get_queue_attributes(self, parameters: Parameters) -> _Answer:
        name = _queue(parameters)
        attributes = self._all_attributes(self._queues.spec(name))
        wanted = _names(parameters, "AttributeNames")
        shown = {key: value for key, value in attributes.items() if key in wanted or "All" in wanted}
        return {"Attributes": shown} if shown else {}

    def _all_attributes(self, spec: QueueSpec) -> dict[str, str]:
        depth = self._queues.depth(spec.name)
        attributes = {
            "QueueArn": spec.arn,
            "ApproximateNumberOfMessages": str(depth.visible),
            "ApproximateNumberOfMessagesNotVisible": str(depth.in_flight),
            "ApproximateNumberOfMessagesDelayed": str(depth.delayed),
            "VisibilityTimeout": f"{spec.visibility_seconds:.0f}",
            "DelaySeconds": f"{spec.delay_seconds:.0f}",
            "MessageRetentionPeriod": f"{spec.retention_seconds:.0f}",
            "MaximumMessageSize": str(spec.largest_bytes),
            "ReceiveMessageWaitTimeSeconds": f"{spec.wait_seconds:.0f}",
        }
        if spec.fifo:
            attributes |= {
                "FifoQueue": "true",
                "ContentBasedDeduplication": str(spec.content_deduplication).lower(),
            }
        if spec.redrive:
            letters = self._queues.spec(spec.redrive.dead_letters)
            most = spec.redrive.max_receives
            attributes["RedrivePolicy"] = f'{{"deadLetterTargetArn":"{letters.arn}","maxReceiveCount":{most}}}'
        return attributes

    async def list_queues(self, parameters: Parameters) -> _Answer:
        prefix = text(parameters, "QueueNamePrefix", "")
        urls = [self._url(spec) for name, spec in sorted(self._queues.specs.items()) if name.startswith(prefix)]
        return {"QueueUrls": urls} if urls else {}

    async def list_dead_letter_source_queues(self, parameters: Parameters) -> _Answer:
        return {"queueUrls": [self._url(spec) for spec in self._queues.sources_of(_queue(parameters))]}

    async def purge_queue(self, parameters: Parameters) -> _Answer:
        self._queues.purge(_queue(parameters))
        return {}

    async def start_message_move_task(self, parameters: Parameters) -> _Answer:
        name = _named(text(parameters, "SourceArn"))
        destination = text(parameters, "DestinationArn", "")
        if name not in self._queues.specs or not self._queues.sources_of(name):
            reason = "Source queue must be configured as a Dead Letter Queue."
            raise AwsError("InvalidParameterValue", reason, query_code="InvalidParameterValue")
        task = self._queues.move(name, _named(destination) if destination else None)
        return {"TaskHandle": task.task_id}

    async def list_message_move_tasks(self, parameters: Parameters) -> _Answer:
        most = number(parameters, "MaxResults", 1, _MOST_MOVES) or 1
        return {"Results": [_move(task) for task in self._queues.moves(_named(text(parameters, "SourceArn")), most)]}

    def _url(self, spec: QueueSpec) -> str:
        return f"{self._base_url}/{spec.arn.split(':')[4]}/{spec.name}"

    def _batch(self, name: str, parameters: Parameters, act: Callable[[Parameters], _Answer]) -> _Answer:
        """Do the same to each entry of a batch; one that fails leaves the others alone."""
        self._queues.spec(name)
        entries = objects(parameters, "Entries")
        identities = [text(entry, "Id") for entry in entries]
        if not entries:
            raise AwsError("EmptyBatchRequest", "There should be at least one entry in the request.")
        if len(entries) > _LARGEST_BATCH:
            reason = f"Maximum number of entries per request are {_LARGEST_BATCH}. You have sent {len(entries)}."
            raise AwsError("TooManyEntriesInBatchRequest", reason)
        if len(set(identities)) < len(entries):
            raise AwsError("BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id.")
        successful: list[_Answer] = []
        failed: list[_Answer] = []
        for identity, entry in zip(identities, entries, strict=True):
            try:
                successful.append({"Id": identity, **act(entry)})
            except AwsError as error:
                failed.append({"Id": identity, "SenderFault": True, "Code": error.code, "Message": str(error)})
            except NotAccepted as error:
                failed.append({"Id": identity, "SenderFault": True, "Code": error.code, "Message": str(error)})
            except StaleReceipt as error:
                code = "ReceiptHandleIsInvalid"
                failed.append({"Id": identity, "SenderFault": True, "Code": code, "Message": str(error)})
        return {"Successful": successful, "Failed": failed}


def _queue(parameters: Parameters) -> str:
    """The name at the end of a queue's URL."""
    return text(parameters, "QueueUrl").rpartition("/")[2]


def _named(arn: str) -> str:
    name = queue_named_by(arn)
    if name is None:
        raise AwsError("ResourceNotFoundException", "The resource that you specified doesn't exist.", status=404)
    return name


def _names(parameters: Parameters, key: str) -> frozenset[str]:
    value = parameters.get(key)
    return frozenset(map(str, value)) if isinstance(value, list) else frozenset()


def _attributes(entry: Parameters) -> dict[str, dict[str, str]]:
    given = entry.get("MessageAttributes") or {}
    if not isinstance(given, dict) or not all(
        isinstance(value, dict) and "DataType" in value for value in given.values()
    ):
        raise AwsError("InvalidParameterValue", "Each message attribute must have a DataType.")
    return given


def _trace_header(entry: Parameters) -> str:
    """X-Ray's header of a message: that of its own system attribute, else that of the request."""
    given = entry.get("MessageSystemAttributes") or {}
    own = given.get("AWSTraceHeader") if isinstance(given, dict) else None
    return str(own.get("StringValue", "")) if isinstance(own, dict) else TRACE_HEADER.get()


def _shown(message: Received, parameters: Parameters) -> _Answer:
    """A message as ReceiveMessage returns it, with the requested attributes."""
    shown: _Answer = {
        "MessageId": message.message_id,
        "ReceiptHandle": message.receipt,
        "MD5OfBody": md5(message.body),
        "Body": message.body,
    }
    wanted = _names(parameters, "AttributeNames") | _names(parameters, "MessageSystemAttributeNames")
    system = {key: value for key, value in system_attributes(message).items() if key in wanted or "All" in wanted}
    if system:
        shown["Attributes"] = system
    asked = _names(parameters, "MessageAttributeNames")
    own = {key: value for key, value in message.attributes.items() if key in asked or asked & {"All", ".*"}}
    if own:
        shown |= {"MessageAttributes": own, "MD5OfMessageAttributes": attributes_md5(own)}
    return shown


def _move(task: MoveTask) -> _Answer:
    shown: _Answer = {
        "Status": "COMPLETED",
        "SourceArn": task.source,
        "ApproximateNumberOfMessagesMoved": task.moved,
        "ApproximateNumberOfMessagesToMove": task.moved,
        "StartedTimestamp": int(task.started_at * 1000),
    }
    return {**shown, "DestinationArn": task.destination} if task.destination else shown
