"""E-mail against a mail server of our own."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.alerts.receiver import receiving
from tests.alerts.samples import ZONE, alert
from vcpd.alerts.channels.mail import MailChannel
from vcpd.alerts.settings import MailSettings
from vcpd.alerts.templates import AlertMessage, Templates, compose
from vcpd.core.errors import PermanentError, RetryableError
from vcpd.core.secrets import Secret

PASSWORD = Secret("top-secret-word")


class Mailbox:
    """Takes mail, or answers what it is told to."""

    def __init__(self, answer: str = "250 OK", refuses: str = "") -> None:
        self.answer = answer
        self.refuses = refuses
        self.letters: list[EmailMessage] = []

    async def handle_RCPT(  # noqa: N802 - the server calls it so
        self, _server: Any, _session: Session, envelope: Envelope, address: str, _: Any
    ) -> str:
        if self.refuses and self.refuses in address:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.letters.append(message_from_bytes(envelope.content, policy=policy.default))
        return self.answer


@asynccontextmanager
async def serving(mailbox: Mailbox, **options: Any) -> AsyncIterator[int]:
    """The port of a mail server that hands everything to `mailbox`."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, loop=loop, **options), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def _settings(port: int, **changes: Any) -> MailSettings:
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "security": "plain",
        "sender": "vcpd@example.org",
        "to": ("me@example.org", "you@example.org"),
    }
    return MailSettings(**{**values, **changes})


def _message(picture: bytes | None = None) -> AlertMessage:
    message = compose([alert("ÅÄÖ")], "mail", Templates(), ZONE)
    return AlertMessage(key=message.key, at=message.at, title=message.title, body=message.body, image=picture)


async def _send(settings: MailSettings, message: AlertMessage | None = None) -> None:
    await MailChannel(settings, PASSWORD, 5.0).send(message or _message())


async def test_a_letter_has_words_picture_and_a_lasting_identity() -> None:
    mailbox = Mailbox()
    async with serving(mailbox) as port:
        await _send(_settings(port), _message(b"\x89PNG"))
    (letter,) = mailbox.letters
    assert letter["Subject"] == "ÅÄÖ breaks out over 100.00"
    assert letter["To"] == "me@example.org, you@example.org"
    assert letter["Message-ID"] == f"<{_message().key}@example.org>"
    body = letter.get_body()
    assert body is not None
    assert "pivot 100.00, stop 94.00" in body.get_content()
    (picture,) = letter.iter_attachments()
    assert (picture.get_filename(), picture.get_content()) == ("setups.png", b"\x89PNG")


@pytest.mark.parametrize(
    ("answer", "error"),
    [("451 later", RetryableError), ("550 no", PermanentError), ("554 spam", PermanentError)],
)
async def test_the_servers_code_decides(answer: str, error: type[Exception]) -> None:
    words = f"the mail server answers {answer[:3]}"
    async with serving(Mailbox(answer)) as port:
        with pytest.raises(error, match=words):
            await _send(_settings(port))


async def test_one_unknown_address_does_not_keep_the_other_from_getting_it() -> None:
    mailbox = Mailbox(refuses="you@")
    async with serving(mailbox) as port:
        await _send(_settings(port))
    assert len(mailbox.letters) == 1


async def test_no_known_address_at_all_is_permanent() -> None:
    async with serving(Mailbox(refuses="example.org")) as port:
        with pytest.raises(PermanentError, match="550"):
            await _send(_settings(port))


async def test_a_server_without_encryption_is_not_trusted_with_it_asked_for() -> None:
    mailbox = Mailbox()
    async with serving(mailbox) as port:
        with pytest.raises(PermanentError, match="security"):
            await _send(_settings(port, security="starttls"))
    assert mailbox.letters == []


def _check(_server: Any, _session: Any, _envelope: Any, _mechanism: Any, given: LoginPassword) -> AuthResult:
    return AuthResult(success=given.password == PASSWORD.reveal().encode(), handled=False)


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("right", [True, False])
async def test_the_password_opens_and_never_shows(right: bool) -> None:
    mailbox = Mailbox()
    options = {"authenticator": _check, "auth_require_tls": False, "auth_required": True}
    password = PASSWORD if right else Secret("wrong-secret-word")
    async with serving(mailbox, **options) as port:
        mail = MailChannel(_settings(port, user="me@example.org"), password, 5.0)
        if right:
            await mail.send(_message())
            assert len(mailbox.letters) == 1
        else:
            with pytest.raises(PermanentError, match="535") as caught:
                await mail.send(_message())
            assert "secret-word" not in str(caught.value)


async def test_an_unreachable_server_is_temporary() -> None:
    async with receiving() as receiver:
        port = receiver.port
    with pytest.raises(RetryableError, match="cannot be reached"):
        await _send(_settings(port))


def test_mail_is_off_until_it_has_a_server_and_somebody_to_write_to() -> None:
    assert (
        MailChannel(MailSettings(), None, 5.0).is_noop,
        MailChannel(MailSettings(), None, 5.0).missing,
    ) == (True, None)
    begun = MailChannel(MailSettings(host="h", user="me@example.org"), None, 5.0)
    assert begun.missing == "[alerts.mail] to and the secret alerts_mail_password"
    assert MailChannel(_settings(25), None, 5.0).missing is None


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1, in one file."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("certificate")
    key, signed, both = folder / "key.pem", folder / "signed.pem", folder / "both.pem"
    words = (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    made = [openssl, *words.split(), "-keyout", str(key), "-out", str(signed)]
    subprocess.run(made, check=True, capture_output=True)
    both.write_text(key.read_text() + signed.read_text())
    return both


@asynccontextmanager
async def serving_secretly(mailbox: Mailbox, certificate: Path, security: str) -> AsyncIterator[int]:
    """A mail server that speaks TLS, from the first byte or when asked."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    starttls, wrapped = (context, None) if security == "starttls" else (None, context)

    def speak() -> SMTP:
        return SMTP(mailbox, loop=loop, tls_context=starttls, require_starttls=starttls is not None)

    server = await loop.create_server(speak, "127.0.0.1", 0, ssl=wrapped)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # aiosmtpd leaves its side of TLS open
@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_an_encrypted_server_is_used_where_its_certificate_holds_and_only_there(
    certificate: Path, security: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = Mailbox()
    async with serving_secretly(mailbox, certificate, security) as port:
        with pytest.raises(RetryableError, match="certificate is not valid"):
            await _send(_settings(port, security=security))
        assert mailbox.letters == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        await _send(_settings(port, security=security))
    assert len(mailbox.letters) == 1
