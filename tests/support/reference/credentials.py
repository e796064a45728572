"""Which key a call carries, and which of its texts are secret. Plain and slow."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from tests.support.reference.fields import is_nothing

KEY_HEADERS = [
    "x-api-key",
    "api-key",
    "apikey",
    "x-apikey",
    "x-auth-token",
    "x-access-token",
    "x-goog-api-key",
    "ocp-apim-subscription-key",
    "x-functions-key",
]
KEY_ENDINGS = ("apikey", "authtoken", "accesstoken", "accesskey", "subscriptionkey", "functionskey")
NEVER = ("negotiate", "ntlm", "kerberos", "privatetoken", "vapid", "mutual", "gnap", "scram-sha-1", "scram-sha-256")
PAIRS = [
    "aws",
    "goog1",
    "oss",
    "obs",
    "sharedkey",
    "sharedkeylite",
    "mws",
    "amx",
    "qbox",
    "qiniu",
    "acs",
    "cos",
    "nos",
    "upyun",
]
COMPUTED = [
    "signature",
    "sig",
    "sign",
    "mac",
    "hmac",
    "response",
    "oauthsignature",
    "qsignature",
    "passworddigest",
    "proof",
    "p",
]
NAMES = [
    "credential",
    "access",
    "keyid",
    "oauthconsumerkey",
    "clienttoken",
    "qak",
    "ak",
    "accesskeyid",
    "accesskey",
    "apikey",
    "appid",
    "clientid",
    "username",
    "id",
    "key",
    "k",
    "user",
]
COMPUTED_IN_ADDRESS = ["signature", "sig", "xamzsignature", "xgoogsignature", "xosssignature", "qsignature"]
NAMES_IN_ADDRESS = [
    "xamzcredential",
    "xgoogcredential",
    "xosscredential",
    "awsaccesskeyid",
    "ossaccesskeyid",
    "googleaccessid",
    "keypairid",
    "accesskeyid",
    "accesskey",
    "qak",
    "apikey",
    "key",
]
TOKENS_IN_ADDRESS = [
    "token",
    "authtoken",
    "xauthtoken",
    "auth",
    "key",
    "writekey",
    "secretkey",
    "subscriptionkey",
    "secret",
    "clientsecret",
    "xfunctionskey",
    "ocpapimsubscriptionkey",
]
CONSTANT_USERS = [
    "api",
    "apikey",
    "api_key",
    "key",
    "token",
    "anystring",
    "oauth2",
    "x-access-token",
    "x-token-auth",
    "user",
    "oauth2accesstoken",
    "_json_key",
    "_token",
    "gitlab-ci-token",
    "unused",
]


@dataclass(frozen=True)
class Found:
    """What stays the same of a credential, and its secret texts. `user`: the public half of a pair."""

    key: str = ""
    secrets: tuple[str, ...] = ()
    user: str = ""


def is_web_token(text: str) -> bool:
    """A JSON Web Token or PASETO."""
    if re.match(r"v[1-4]\.(local|public)\.\S+\Z", text):
        return True
    return text.startswith("eyJ") and not re.search(r"\s", text) and text.count(".") in (2, 4)


def bare(text: str) -> str:
    """The text without `Bearer` or `Token` before it."""
    words = text.strip().split(None, 1)
    if words and words[0].lower() in ("bearer", "token"):
        return words[1] if len(words) == 2 else ""
    return text.strip()


def of_headers(headers: dict[str, Any]) -> Found:
    """The credential in headers, their names in lower case."""
    texts = {name: value[0] if isinstance(value, list) and value else value for name, value in headers.items()}
    texts = {name: value for name, value in texts.items() if isinstance(value, str)}
    tried = [_of_token(texts[name]) for name in KEY_HEADERS if name in texts]
    in_authorization = of_authorization(texts.get("authorization", ""))
    tried.append(in_authorization)
    tried += [_of_token(text) for name, text in texts.items() if _letters(name).endswith(KEY_ENDINGS)]
    for found in tried:
        if found.key:
            return found
    for name in ("x-mws-authentication", "x-wsse"):
        if texts.get(name):
            return of_authorization(texts[name])
    if texts.get("signature-input"):
        return _behind(_listed(texts["signature-input"].partition(";")[2]), NAMES)
    if texts.get("signature"):
        return _behind(_listed(texts["signature"]), NAMES)
    return in_authorization


def of_address(query: str) -> Found:
    """The credential in an address."""
    given: dict[str, str] = {}
    for name, value in parse_qsl(query):
        given.setdefault(_letters(name), value)
    if set(COMPUTED_IN_ADDRESS) & set(given):
        return _behind(given, NAMES_IN_ADDRESS)
    revealing = [
        value
        for name, value in given.items()
        if name in TOKENS_IN_ADDRESS or name.endswith(("apikey", "accesstoken", "accesskey"))
    ]
    return next((found for found in map(_of_token, revealing) if found.key), Found())


def of_session(session: str, found: Found, headers: dict[str, Any], has_visitor: bool) -> tuple[Found, str]:
    """The call's credential and its session, which are one field of Moesif's."""
    own, plain = _of_token(session), bare(session)
    if found.key:
        return found, "" if own.key == found.key or plain in found.secrets else plain
    in_cookie = bool(headers.get("cookie")) and plain in str(headers["cookie"])
    is_text = " " in plain and own.secrets == (plain,)
    if not own.key or is_text or has_visitor or in_cookie:
        return Found(), plain
    return own, ""


def of_authorization(value: str) -> Found:
    """The credential in the header of that name."""
    value = value.strip()
    scheme, _, rest = value.partition(" ")
    scheme, rest = scheme.lower(), rest.strip()
    if not rest:
        flat = unquote(value)
        if "=" in flat and "&" in flat:
            return _behind(_listed(flat), NAMES)
        bare_schemes = ("basic", "bearer", "token", "apikey", "digest", *NEVER)
        return Found() if value.lower() in bare_schemes else _of_token(value)
    if scheme == "basic":
        return _of_pair(rest)
    if scheme in NEVER or scheme.startswith("scram-"):
        return Found()
    given = _listed(rest)
    if scheme == "hoba":
        return Found(given.get("result", "").split(".")[0])
    if scheme == "sharedaccesssignature":
        return Found(" ".join(given[name] for name in ("sr", "skn") if given.get(name)))
    before, _, after = rest.partition(":")
    if _computes(scheme) and after and "=" not in before:
        return Found(before.strip())
    if not _computes(scheme) and re.fullmatch(r"[^\s=,;&\"]+=*", rest):
        return _of_token(rest)
    if "token" in given and scheme in ("bearer", "token", "apikey", "digest"):
        return _of_token(given["token"])
    return _behind(given, NAMES) if _computes(scheme) or set(COMPUTED) & set(given) else Found()


def _of_token(text: str) -> Found:
    scheme = text.lstrip().partition(" ")[0].lower()
    if scheme == "basic" or _computes(scheme):
        return of_authorization(text)
    token = bare(text)
    return Found() if is_nothing(token) or is_web_token(token) else Found(token, (token,))


def _of_pair(encoded: str) -> Found:
    user, password = _decoded(encoded)
    halves = [half for half in (user, password) if not is_nothing(half)]
    if not halves:
        return Found()
    if len(halves) == 1:
        return Found(halves[0], (halves[0], encoded))
    is_dummy = len(password) <= 2 or password in ("api_token", "x-oauth-basic", "unused")
    whole = f"{user}:{password}"
    return Found(whole, (user, encoded)) if is_dummy else Found(whole, (password, encoded), user)


def _decoded(encoded: str) -> tuple[str, str]:
    standard = encoded.translate(str.maketrans("-_", "+/"))
    try:
        octets = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        return "", ""
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        text = octets.decode("latin-1")
    user, colon, password = text.partition(":")
    return (user, password) if colon else ("", "")


def _computes(scheme: str) -> bool:
    if scheme in PAIRS or any(part in scheme for part in ("hmac", "hawk", "digest")):
        return True
    forms = (r"sha-?\d", r"(^|-)sig", r"(^|-)mac$", r"^apiauth")
    return any(re.search(form, scheme) for form in forms)


def _behind(given: dict[str, str], names: list[str]) -> Found:
    """The id of the credential that a signature was made with."""
    for name in names:
        key = given.get(name, "")
        if not key:
            continue
        key = key.split("/")[0] if name.endswith("credential") else key
        is_temporary = key.startswith("ASIA") and len(key) >= 16
        if is_temporary or is_nothing(key):
            return Found()
        return Found(key, (key,) if name in ("apikey", "key") else ())
    return Found()


def _listed(text: str) -> dict[str, str]:
    """`name=value` parameters, split at the first of comma, ampersand and semicolon that stands outside quotes."""
    outside = re.sub(r'"[^"]*"', "", text)
    separator = next((mark for mark in (",", "&", ";") if mark in outside), ",")
    found: dict[str, str] = {}
    form = rf'\s*([\w-]+)\s*=\s*(?:"([^"]*)"|([^{separator}\s]*))\s*(?:{separator}|\Z)'
    for name, quoted, plain in re.findall(form, text):
        found.setdefault(_letters(name), quoted or plain)
    return found


def _letters(name: str) -> str:
    return re.sub("[-_]", "", name.lower())
