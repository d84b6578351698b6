"""Every setting: what it takes, and what is said of anything else."""

from dataclasses import fields
from pathlib import Path

import pytest

from layers_standin.settings import PREFIX, SEED, Bucket, Settings, StartError, read_settings

pytestmark = pytest.mark.postgres

GOOD = [
    ("STANDIN_DATA", "here", "data", Path("here")),
    ("STANDIN_DATA", "/tmp/a folder", "data", Path("/tmp/a folder")),
    ("STANDIN_STORE", "postgresql://user@host/database", "store", "postgresql://user@host/database"),
    ("STANDIN_STORE", "postgres:///database?host=/run", "store", "postgres:///database?host=/run"),
    ("STANDIN_MEDIA", "s3://bucket/prefix", "media", Bucket("bucket", "prefix")),
    ("STANDIN_MEDIA", "s3://a.bucket-1/one/two_3.4/", "media", Bucket("a.bucket-1", "one/two_3.4")),
    ("STANDIN_MEDIA", "s3://bucket/p?region=eu-west-1", "media", Bucket("bucket", "p", None, "eu-west-1")),
    (
        "STANDIN_MEDIA",
        "s3://bucket/p?endpoint=http://127.0.0.1:9000&region=local",
        "media",
        Bucket("bucket", "p", "http://127.0.0.1:9000", "local"),
    ),
    ("STANDIN_SEED", "none", "seed", None),
    ("STANDIN_SEED", str(SEED), "seed", SEED),
    ("STANDIN_PUBLIC_URL", "https://stand-in.example", "public_url", "https://stand-in.example"),
    ("STANDIN_PUBLIC_URL", "http://localhost:8000/", "public_url", "http://localhost:8000"),
    ("STANDIN_PUBLIC_URL", "http://[::1]:8000", "public_url", "http://[::1]:8000"),
    ("STANDIN_PUBLIC_URL", "https://host.example/below//", "public_url", "https://host.example/below"),
    ("STANDIN_JOB_SECONDS", "0", "job_seconds", 0.0),
    ("STANDIN_JOB_SECONDS", "90", "job_seconds", 90.0),
    ("STANDIN_JOB_SECONDS", "0.25", "job_seconds", 0.25),
    ("STANDIN_RATE_LIMITS", "on", "rate_limits", True),
    ("STANDIN_RATE_LIMITS", "off", "rate_limits", False),
    ("STANDIN_MAX_UPLOAD_BYTES", "1", "max_upload_bytes", 1),
    ("STANDIN_MAX_UPLOAD_BYTES", "104857600", "max_upload_bytes", 100 << 20),
    ("STANDIN_MAX_PICTURE_PIXELS", "1", "max_picture_pixels", 1),
    ("STANDIN_MAX_PICTURE_PIXELS", "200000000", "max_picture_pixels", 200_000_000),
    ("STANDIN_SYNC", "always", "sync", True),
    ("STANDIN_SYNC", "never", "sync", False),
    ("STANDIN_LOG", "plain", "log", "plain"),
    ("STANDIN_LOG", "json", "log", "json"),
    ("STANDIN_LOG", "off", "log", "off"),
    ("STANDIN_CONTROL", "loopback", "control", "loopback"),
    ("STANDIN_CONTROL", "off", "control", "off"),
    ("STANDIN_CONTROL", "a-token_of-16-chr", "control", "a-token_of-16-chr"),
    ("STANDIN_CONTROL_HOSTS", "standin.local", "control_hosts", ("standin.local",)),
    ("STANDIN_CONTROL_HOSTS", "host.docker.internal, Stand_In", "control_hosts", ("host.docker.internal", "stand_in")),
    ("STANDIN_CONTROL_ORIGINS", "http://localhost:3000", "control_origins", ("http://localhost:3000",)),
    (
        "STANDIN_CONTROL_ORIGINS",
        "http://localhost/, HTTPS://[::1]:5173,http://127.0.0.1:3000",
        "control_origins",
        ("http://localhost", "https://[::1]:5173", "http://127.0.0.1:3000"),
    ),
    (
        "STANDIN_RETURN_ORIGINS",
        "https://app.example.com, https://Staging.example.com:8443/",
        "return_origins",
        ("https://app.example.com", "https://staging.example.com:8443"),
    ),
    ("STANDIN_CONSOLE", "on", "console", "on"),
    ("STANDIN_CONSOLE", "off", "console", "off"),
    ("STANDIN_CONSOLE", "read-only", "console", "read-only"),
    ("STANDIN_ALLOW_DEMO_KEY", "1", "allow_demo_key", True),
    ("STANDIN_ALLOW_DEMO_KEY", "0", "allow_demo_key", False),
]
A_URL = "a URL like https://stand-in.example"
NAMES = "names like standin.local without a port, separated by commas"
ORIGINS = "origins like http://localhost:3000, separated by commas"
A_TOKEN = "'loopback', 'off', or a token of 16 or more letters, digits, '-' and '_'"
A_BUCKET = (
    "a URL like s3://bucket/prefix or s3://bucket/prefix?endpoint=https://host&region=name, with a prefix of its own "
    "and without credentials, which go into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)
A_SEED = "'none' or the path of a file"
BAD = [
    ("STANDIN_DATA", "", "a folder"),
    *[
        ("STANDIN_STORE", text, "a URL like postgresql://user@host/database")
        for text in ("", "data/store", "postgresql:", "mysql://user:secret@host/database")
    ],
    *[
        ("STANDIN_MEDIA", text, A_BUCKET)
        for text in (
            "",
            "/a/folder",
            "s3://bucket",
            "s3://bucket/",
            "s3:///prefix",
            "s3://Bucket/prefix",
            "s3://b/prefix",
            "s3://key:secret@bucket/prefix",
            "s3://bucket/a//b",
            "s3://bucket/../b",
            "s3://bucket/a b",
            "s3://bucket/prefix#x",
            "s3://bucket/prefix?secret_access_key=x",
            "s3://bucket/prefix?endpoint",
            "s3://bucket/prefix?endpoint=127.0.0.1:9000",
            "s3://bucket/prefix?endpoint=http://key:secret@host",
            "s3://bucket/prefix?region=x y",
            "gs://bucket/prefix",
            "s3://[",
        )
    ],
    ("STANDIN_SEED", "", A_SEED),
    ("STANDIN_SEED", "/nowhere/seed.json", A_SEED),
    ("STANDIN_SEED", str(SEED.parent), A_SEED),
    ("STANDIN_SEED", "None", A_SEED),
    ("STANDIN_PUBLIC_URL", "", A_URL),
    ("STANDIN_PUBLIC_URL", "stand-in.example", A_URL),
    ("STANDIN_PUBLIC_URL", "localhost:8000", A_URL),
    ("STANDIN_PUBLIC_URL", "ftp://stand-in.example", A_URL),
    ("STANDIN_PUBLIC_URL", "https://", A_URL),
    ("STANDIN_PUBLIC_URL", "https://me:password@stand-in.example", A_URL),
    ("STANDIN_PUBLIC_URL", "https:///below", A_URL),
    ("STANDIN_PUBLIC_URL", "https://host.example?x=1", A_URL),
    ("STANDIN_PUBLIC_URL", "https://host.example#x", A_URL),
    ("STANDIN_PUBLIC_URL", "http://[::1", A_URL),
    ("STANDIN_PUBLIC_URL", "https://me:secret@host.example", A_URL),
    ("STANDIN_PUBLIC_URL", "https://:443", A_URL),
    ("STANDIN_PUBLIC_URL", "https://host.example:port", A_URL),
    ("STANDIN_PUBLIC_URL", "https://host.example/be low", A_URL),
    ("STANDIN_PUBLIC_URL", "https://host.example/;script-src", A_URL),
    ("STANDIN_PUBLIC_URL", "https://host.example/\r\nX: 1", A_URL),
    ("STANDIN_PUBLIC_URL", "https://bücher.example", A_URL),
    *[
        ("STANDIN_JOB_SECONDS", text, "a number of seconds")
        for text in ("", "-1", "1e3", ".5", "1.", "two", " 2", "inf", "nan", "٣", "1" * 13)
    ],
    *[("STANDIN_RATE_LIMITS", text, "'on' or 'off'") for text in ("", "1", "On", "true")],
    *[
        ("STANDIN_MAX_UPLOAD_BYTES", text, "a number of bytes")
        for text in ("", "0", "000", "-1", "1.5", "5M", "1_000", " 1", "٣")
    ],
    *[("STANDIN_MAX_PICTURE_PIXELS", text, "a number of pixels") for text in ("", "0", "-1", "1.5", "64MP", "8x8")],
    *[("STANDIN_SYNC", text, "'always' or 'never'") for text in ("", "1", "Always", "sometimes")],
    *[("STANDIN_LOG", text, "'plain' or 'json' or 'off'") for text in ("", "JSON", "xml", "plain ")],
    *[("STANDIN_CONTROL", text, A_TOKEN) for text in ("", "on", "Off", "fifteen-letters", "a b c d e f g h i j k")],
    *[
        ("STANDIN_CONTROL_HOSTS", text, NAMES)
        for text in ("", ",", "a,", "*", "a b", "http://a", "a:8000", ".local", "[::1]", "a@b", "a/b", "bücher.local")
    ],
    *[
        ("STANDIN_CONTROL_ORIGINS", text, ORIGINS)
        for text in (
            "",
            "*",
            "null",
            "localhost:3000",
            "http://",
            "http://*:3000",
            "http://localhost:*",
            "http://localhost:3000/path",
            "http://me@localhost",
            "http://localhost:3000 http://localhost:3001",
            "ftp://localhost",
            "http://localhost,",
        )
    ],
    *[
        ("STANDIN_RETURN_ORIGINS", text, "origins like https://app.example.com, separated by commas")
        for text in ("", "*", "app.example.com", "https://app.example.com/back", "https://me@app.example.com")
    ],
    *[("STANDIN_CONSOLE", text, "'on' or 'read-only' or 'off'") for text in ("", "readonly", "1")],
    *[("STANDIN_ALLOW_DEMO_KEY", text, "'0' or '1'") for text in ("", "2", "true", "yes", " 1")],
]


def test_without_any_setting_all_have_their_defaults():
    assert read_settings({}) == Settings(
        data=Path("data/store"),
        seed=SEED,
        public_url=None,
        job_seconds=2.0,
        rate_limits=False,
        max_upload_bytes=52_428_800,
        max_picture_pixels=64_000_000,
        sync=True,
        log="plain",
        control="loopback",
        control_hosts=(),
        control_origins=(),
        return_origins=(),
        console="on",
        allow_demo_key=False,
    )
    assert SEED.is_file()


@pytest.mark.parametrize(("name", "text", "field", "value"), GOOD)
def test_a_setting_sets_its_field_and_leaves_the_others(name, text, field, value):
    expected = vars(Settings()) | {field: value}

    assert vars(read_settings({name: text})) == expected


def test_the_environment_may_be_full_of_other_things():
    environ = {"PATH": "/bin", "PORT": "x", "standin_data": "x", "XSTANDIN_DATA": "x", "STANDIN_LOG": "json"}

    assert read_settings(environ) == Settings(log="json")


def test_every_setting_has_good_and_bad_values_here():
    names = {PREFIX + field.name.upper() for field in fields(Settings)}

    assert {name for name, *_ in GOOD} == names
    assert {name for name, *_ in BAD} == names


def test_a_folder_must_have_a_name_in_utf_8():
    with pytest.raises(StartError, match=r"^STANDIN_DATA must be a folder whose name is UTF-8, not "):
        read_settings({"STANDIN_DATA": "data-\udcff"})


@pytest.mark.parametrize(("name", "text", "wanted"), BAD)
def test_a_bad_value_is_refused_with_the_setting_what_it_takes_and_what_it_got(name, text, wanted):
    with pytest.raises(StartError) as refused:
        read_settings({name: text})

    # What may be a token, or have a password in it, is not said again.
    told = "" if name in ("STANDIN_CONTROL", "STANDIN_STORE", "STANDIN_MEDIA") else f", not {text!r}"
    assert str(refused.value) == f"{name} must be {wanted}{told}."


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("STANDIN_DTA", "STANDIN_DATA"),
        ("STANDIN_data", "STANDIN_DATA"),
        ("STANDIN_SEEDS", "STANDIN_SEED"),
        ("STANDIN_PUBLIC_UR", "STANDIN_PUBLIC_URL"),
        ("STANDIN_JOB_SECOND", "STANDIN_JOB_SECONDS"),
        ("STANDIN_RATE_LIMIT", "STANDIN_RATE_LIMITS"),
        ("STANDIN_MAX_UPLOAD", "STANDIN_MAX_UPLOAD_BYTES"),
        ("STANDIN_SYNCH", "STANDIN_SYNC"),
        ("STANDIN_LOGS", "STANDIN_LOG"),
        ("STANDIN_DEMO_KEY", "STANDIN_ALLOW_DEMO_KEY"),
    ],
)
def test_an_unknown_setting_is_refused_with_the_one_that_may_be_meant(name, meant):
    with pytest.raises(StartError) as refused:
        read_settings({name: "x"})

    assert str(refused.value) == f"There is no setting {name}; did you mean {meant}?"


@pytest.mark.parametrize("name", ["STANDIN_", "STANDIN_URL", "STANDIN_COLOUR_OF_HOUSE"])
def test_an_unknown_setting_like_no_other_is_refused_with_all_there_are(name):
    with pytest.raises(StartError) as refused:
        read_settings({name: "x"})

    everything = ", ".join(dict.fromkeys(setting for setting, *_ in GOOD))
    assert str(refused.value) == f"There is no setting {name}; the settings are {everything}."
