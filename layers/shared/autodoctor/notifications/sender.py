"""One attempt to hand a mail to SES, with an error that says whether SES may have accepted it."""

from functools import cache
from typing import Any, Final

from autodoctor.notifications.mail import Mail
from autodoctor.settings import required

CONNECT_SECONDS: Final = 2
READ_SECONDS: Final = 5
_SERVER_ERROR: Final = 500


class NotSent(Exception):
    """SES certainly did not accept the mail; it may be tried again.

    Attributes:
        error: SES's error code, or the type of the connection error.
    """

    def __init__(self, error: str) -> None:
        super().__init__(f"SES did not take the mail: {error}")
        self.error = error


class MaybeSent(Exception):
    """It is unknown whether SES accepted the mail.

    Attributes:
        error: SES's error code, or the type of the error.
    """

    def __init__(self, error: str) -> None:
        super().__init__(f"SES may have taken the mail: {error}")
        self.error = error


class SesSender:
    """Sends through Amazon SES, API version 2."""

    def __init__(self) -> None:
        self._from = required("MAIL_FROM")
        self._configuration_set = required("MAIL_CONFIGURATION_SET")

    def send(self, address: str, mail: Mail, kind: str) -> str:
        """Hand over one mail; returns SES's id of it.

        Args:
            address: the recipient's, already found usable by `recipients`.
            mail: the mail to send.
            kind: the message tag that separates the kinds in SES's statistics.

        Raises:
            NotSent: refused or throttled, or SES was not reached.
            MaybeSent: no answer, or an error of the service itself.
        """
        from botocore import exceptions  # noqa: PLC0415 (only where a mail is sent)

        try:
            client = _client()
        except exceptions.BotoCoreError as misconfigured:
            raise NotSent(type(misconfigured).__name__) from misconfigured
        try:
            answer = client.send_email(
                FromEmailAddress=self._from,
                Destination={"ToAddresses": [address]},
                Content={"Simple": _content(mail)},
                ConfigurationSetName=self._configuration_set,
                EmailTags=[{"Name": "kind", "Value": kind}],
            )
        except exceptions.ClientError as refused:
            code = str(refused.response["Error"]["Code"])
            if refused.response["ResponseMetadata"]["HTTPStatusCode"] >= _SERVER_ERROR:
                raise MaybeSent(code) from refused
            raise NotSent(code) from refused
        except (
            exceptions.EndpointConnectionError,
            exceptions.ConnectTimeoutError,
            exceptions.NoCredentialsError,
            exceptions.ParamValidationError,
        ) as unreached:
            raise NotSent(type(unreached).__name__) from unreached
        except exceptions.BotoCoreError as lost:
            raise MaybeSent(type(lost).__name__) from lost
        return str(answer["MessageId"])


def _content(mail: Mail) -> dict[str, Any]:
    def part(data: str) -> dict[str, str]:
        return {"Data": data, "Charset": "UTF-8"}

    return {"Subject": part(mail.subject), "Body": {"Text": part(mail.text), "Html": part(mail.html)}}


@cache
def _client() -> Any:  # noqa: ANN401 (boto3's clients have no types)
    import boto3  # noqa: PLC0415 (a second of CPU that an event without mail need not pay)
    from botocore.config import Config  # noqa: PLC0415

    # No retries here: the queue retries, and only mails that were certainly not sent.
    config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries={"total_max_attempts": 1})
    return boto3.client("sesv2", config=config)
