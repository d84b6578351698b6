"""The settings: `STANDIN_*` in the environment, read here and nowhere else."""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from platformdirs import user_data_dir

from layers_standin.application import APPLICATION, IS_INSTALLED

_TOKEN = re.compile(r"[0-9A-Za-z_-]{16,256}")
_NEVER_ECHOED = ("STANDIN_CONTROL", "STANDIN_STORE", "STANDIN_MEDIA")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_KEY_PREFIX = re.compile(r"[0-9A-Za-z_][0-9A-Za-z._-]*(/[0-9A-Za-z_][0-9A-Za-z._-]*)*")
_REGION = re.compile(r"[0-9a-z-]{1,64}")
_HOST_NAME = re.compile(r"[0-9a-z]([0-9a-z._-]*[0-9a-z])?")
_ORIGIN = re.compile(rf"https?://({_HOST_NAME.pattern}|\[[0-9a-f:.]+\])(:[0-9]{{1,5}})?")
_URL = re.compile(rf"{_ORIGIN.pattern}(/[0-9A-Za-z._~-]*)*", re.IGNORECASE)  # it becomes a part of headers
_SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")
PREFIX = "STANDIN_"
LOOPBACK, OFF = "loopback", "off"
READ_ONLY = "read-only"
MAX_PICTURE_PIXELS = 64_000_000
SEED = APPLICATION / "data" / "seed.json"


class StartError(Exception):
    """The service cannot start; the message is one sentence with the remedy."""


class Bucket(NamedTuple):
    """The bucket of the media on an S3-compatible store; endpoint and region default to AWS's own variables."""

    name: str
    prefix: str
    endpoint: str | None = None
    region: str | None = None

    def __str__(self) -> str:
        return f"s3://{self.name}/{self.prefix}"


@dataclass(frozen=True)
class Settings:
    """One field for each setting; the table in docs/settings.md describes them."""

    data: Path = Path("data/store")
    store: str | None = None
    media: Bucket | None = None
    seed: Path | None = SEED
    public_url: str | None = None
    job_seconds: float = 2.0
    rate_limits: bool = False
    max_upload_bytes: int = 50 << 20
    max_picture_pixels: int = MAX_PICTURE_PIXELS
    sync: bool = True
    log: str = "plain"
    control: str = LOOPBACK
    control_hosts: tuple[str, ...] = ()
    control_origins: tuple[str, ...] = ()
    return_origins: tuple[str, ...] = ()
    console: str = "on"
    allow_demo_key: bool = False

    @property
    def has_console(self) -> bool:
        """Whether there is a console: it commands by the control plane, unless it is read-only."""
        return self.console == READ_ONLY or OFF not in (self.console, self.control)


def default_data() -> Path:
    """Return the default folder of the store: `data/store` of a checkout, else one in the user's data folder.

    Raises StartError when the user has no home folder.
    """
    if not IS_INSTALLED:
        return APPLICATION / "data" / "store"
    folder = Path(user_data_dir("layers-stand-in", False))
    if not folder.is_absolute():
        raise StartError("This user has no home folder to keep data in: set STANDIN_DATA, or say --data FOLDER.")
    return folder


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings of an environment. Raises StartError that names the invalid setting."""
    given = {name: text for name, text in environ.items() if name.startswith(PREFIX)}
    values: dict[str, Any] = {_field(name): _parse(name, text) for name, text in given.items()}
    if IS_INSTALLED and "data" not in values:  # or a server started among the installed packages would write there
        values["data"] = default_data()
    return Settings(**values)


def _field(name: str) -> str:
    if name not in _PARSERS:
        # Compared without the prefix, or any short name is close to any other.
        known = [setting.removeprefix(PREFIX) for setting in _PARSERS]
        close = difflib.get_close_matches(name.removeprefix(PREFIX).upper(), known, n=1)
        hint = f"; did you mean {PREFIX}{close[0]}?" if close else f"; the settings are {', '.join(_PARSERS)}."
        raise StartError(f"There is no setting {name}{hint}")
    return name.removeprefix(PREFIX).lower()


def _parse(name: str, text: str) -> object:
    try:
        return _PARSERS[name](text)
    except ValueError as error:
        received = "." if name in _NEVER_ECHOED else f", not {text!r}."
        raise StartError(f"{name} must be {error}{received}") from None


def _folder(text: str) -> Path:
    if not text:
        raise ValueError("a folder")
    if not _is_utf8(text):  # SQLite opens no other
        raise ValueError("a folder whose name is UTF-8")
    return Path(text)


def _is_utf8(text: str) -> bool:
    """Whether a text from the environment was decoded: other bytes are in it as surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _store(text: str) -> str:
    if not text.startswith(("postgresql://", "postgres://")):
        raise ValueError("a URL like postgresql://user@host/database")
    return text


def _media(text: str) -> Bucket:
    try:
        parts = urlsplit(text)
        prefix, options = parts.path.strip("/"), dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        bucket = Bucket(parts.netloc, prefix, options.pop("endpoint", None), options.pop("region", None))
        fits = parts.scheme == "s3" and not options and not parts.fragment and _is_usable(bucket)
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            "a URL like s3://bucket/prefix or s3://bucket/prefix?endpoint=https://host&region=name, with a prefix of "
            "its own and without credentials, which go into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    return bucket


def _is_usable(bucket: Bucket) -> bool:
    """Whether all parts of a bucket's URL are valid. Raises ValueError for a bad endpoint."""
    if bucket.endpoint is not None:
        _url(bucket.endpoint)
    is_region = bucket.region is None or _REGION.fullmatch(bucket.region)
    return bool(_BUCKET.fullmatch(bucket.name) and _KEY_PREFIX.fullmatch(bucket.prefix) and is_region)


def _seed(text: str) -> Path | None:
    if text == "none":
        return None
    path = Path(text)
    if not path.is_file():
        raise ValueError("'none' or the path of a file")
    return path


def _url(text: str) -> str:
    if not _URL.fullmatch(text):
        raise ValueError("a URL like https://stand-in.example")
    return text.rstrip("/")


def _one_of(**meanings: object) -> Callable[[str], object]:
    def parse(text: str) -> object:
        if text not in meanings:
            raise ValueError(" or ".join(repr(word) for word in meanings))
        return meanings[text]

    return parse


def _duration(text: str) -> float:
    if not _SECONDS.fullmatch(text):
        raise ValueError("a number of seconds")
    return float(text)


def _count(unit: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not _SECONDS.fullmatch(text) or not text.isdigit() or int(text) == 0:
            raise ValueError(f"a number of {unit}")
        return int(text)

    return parse


def _control(text: str) -> str:
    if text not in (LOOPBACK, OFF) and not _TOKEN.fullmatch(text):
        raise ValueError("'loopback', 'off', or a token of 16 or more letters, digits, '-' and '_'")
    return text


def _list_of(pattern: re.Pattern[str], wanted: str) -> Callable[[str], object]:
    def parse(text: str) -> tuple[str, ...]:
        items = tuple(item.strip().rstrip("/").lower() for item in text.split(","))
        if not all(map(pattern.fullmatch, items)):
            raise ValueError(f"{wanted}, separated by commas")
        return items

    return parse


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("'0' or '1'")
    return text == "1"


_PARSERS: dict[str, Callable[[str], object]] = {
    "STANDIN_DATA": _folder,
    "STANDIN_STORE": _store,
    "STANDIN_MEDIA": _media,
    "STANDIN_SEED": _seed,
    "STANDIN_PUBLIC_URL": _url,
    "STANDIN_JOB_SECONDS": _duration,
    "STANDIN_RATE_LIMITS": _one_of(on=True, off=False),
    "STANDIN_MAX_UPLOAD_BYTES": _count("bytes"),
    "STANDIN_MAX_PICTURE_PIXELS": _count("pixels"),
    "STANDIN_SYNC": _one_of(always=True, never=False),
    "STANDIN_LOG": _one_of(plain="plain", json="json", off=OFF),
    "STANDIN_CONTROL": _control,
    "STANDIN_CONTROL_HOSTS": _list_of(_HOST_NAME, "names like standin.local without a port"),
    "STANDIN_CONTROL_ORIGINS": _list_of(_ORIGIN, "origins like http://localhost:3000"),
    "STANDIN_RETURN_ORIGINS": _list_of(_ORIGIN, "origins like https://app.example.com"),
    "STANDIN_CONSOLE": _one_of(**{"on": "on", READ_ONLY: READ_ONLY, OFF: OFF}),
    "STANDIN_ALLOW_DEMO_KEY": _flag,
}


def read_port(environ: Mapping[str, str]) -> int:
    """Return PORT, 8000 if it is not set; 0 lets the system choose. Raises StartError."""
    return _number(environ, "PORT", 8000, range(65536))


def read_workers(environ: Mapping[str, str]) -> int:
    """Return WEB_CONCURRENCY, the number of worker processes; 2 if it is not set. Raises StartError."""
    return _number(environ, "WEB_CONCURRENCY", 2, range(1, 1000))


def _number(environ: Mapping[str, str], name: str, default: int, allowed: range) -> int:
    text = environ.get(name, str(default))
    if not (text.isascii() and text.isdigit() and int(text) in allowed):
        raise StartError(f"{name} must be a number from {allowed[0]} to {allowed[-1]}, not {text!r}.")
    return int(text)
