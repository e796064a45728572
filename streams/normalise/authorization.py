"""The credential that a request carries in its headers or its address, and which part of it is secret."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote

from streams.normalise.placeholders import TEXTS_CACHED, is_placeholder

#: Headers that hold nothing but a key, in lower case, the most specific first.
KEY_HEADERS: Final = (
    *("x-api-key", "api-key", "apikey", "x-apikey", "x-auth-token", "x-access-token", "x-goog-api-key"),
    *("ocp-apim-subscription-key", "x-functions-key"),
)
#: How the names of such headers end, without hyphens.
_KEY_HEADER_ENDINGS: Final = ("apikey", "authtoken", "accesstoken", "accesskey", "subscriptionkey", "functionskey")
#: Headers beside `Authorization` in which a request is signed.
_SIGNED_HEADERS: Final = ("x-mws-authentication", "x-wsse", "signature-input")

#: Schemes whose credentials are new with each request or session, and name nothing that stays the same.
_CHANGING_SCHEMES: Final = frozenset(["negotiate", "ntlm", "kerberos", "privatetoken", "vapid", "mutual", "gnap"])
#: Schemes of the form `id:signature`.
_ID_AND_SIGNATURE: Final = frozenset(
    [
        *("aws", "goog1", "oss", "obs", "sharedkey", "sharedkeylite", "mws", "apiauth", "amx", "qbox", "qiniu"),
        *("acs", "cos", "nos", "upyun"),
    ]
)
_SIGNING_SCHEME: Final = re.compile(r"hmac|sha-?\d|(?:\A|-)sig|hawk|digest|(?:\A|-)mac\Z|\Aapiauth")
#: Parameters of `Authorization` that are computed from each request.
_SIGNATURES: Final = frozenset(
    [
        *("signature", "sig", "sign", "mac", "hmac", "response", "oauthsignature", "qsignature", "passworddigest"),
        *("proof", "p"),
    ]
)
#: Parameters that name the credential behind a signature, the most specific first.
_CREDENTIAL_IDS: Final = (
    *("credential", "access", "keyid", "oauthconsumerkey", "clienttoken", "qak", "ak", "accesskeyid", "accesskey"),
    *("apikey", "appid", "clientid", "username", "id", "key", "k", "user"),
)
#: The same in an address, where `id` and the like name what is asked for.
_SIGNATURES_OF_QUERY: Final = frozenset(
    ["signature", "sig", "xamzsignature", "xgoogsignature", "xosssignature", "qsignature"]
)
_CREDENTIAL_IDS_OF_QUERY: Final = (
    *("xamzcredential", "xgoogcredential", "xosscredential", "awsaccesskeyid", "ossaccesskeyid", "googleaccessid"),
    *("keypairid", "accesskeyid", "accesskey", "qak", "apikey", "key"),
)
#: Parameters of an address that hold a key, beside those with revealing endings.
_TOKEN_PARAMETERS: Final = frozenset(
    [
        *("token", "authtoken", "xauthtoken", "auth", "key", "writekey", "secretkey", "subscriptionkey", "secret"),
        *("clientsecret", "xfunctionskey", "ocpapimsubscriptionkey"),
    ]
)
#: Documented constant passwords: with them, Basic's user is the secret.
_DUMMY_PASSWORDS: Final = frozenset(["api_token", "x-oauth-basic", "unused"])
#: Documented constant users of Basic, who are nobody.
CONSTANT_USERS: Final = frozenset(
    [
        *("api", "apikey", "api_key", "key", "token", "anystring", "oauth2", "x-access-token", "x-token-auth", "user"),
        *("oauth2accesstoken", "_json_key", "_token", "gitlab-ci-token", "unused"),
    ]
)
#: JSON Web Tokens, signed or encrypted, and PASETO: issued every hour, so that each would count as another key.
_WEB_TOKEN: Final = re.compile(r"eyJ[^.\s]*(?:\.[^.\s]*){2}(?:(?:\.[^.\s]*){2})?|v[1-4]\.(?:local|public)\.\S+")
_SCHEME_BEFORE_TOKEN: Final = re.compile(r"\A(?:bearer|token)(?:\s+|\Z)", re.IGNORECASE)
_QUOTED: Final = re.compile(r"\"[^\"]*\"")
#: One parameter of a list, by the mark between them.
_PARAMETER: Final = {
    mark: re.compile(rf"\s*([\w-]+)\s*=\s*(?:\"([^\"]*)\"|([^{mark}\s]*))\s*(?:{mark}|\Z)") for mark in ",&;"
}
#: One token after a scheme: no list of parameters.
_OPAQUE: Final = re.compile(r"[^\s=,;&\"]+=*")
_SCHEMES: Final = frozenset(["basic", "bearer", "token", "apikey", "digest", *_CHANGING_SCHEMES])


class Credential(NamedTuple):
    """`key`: what stays the same from call to call, empty if nothing does. `secrets`: the texts that must stand nowhere.

    `user`: the public user of Basic.
    """

    key: str = ""
    secrets: tuple[str, ...] = ()
    user: str = ""


NO_CREDENTIAL: Final = Credential()


def credential_of_headers(headers: Mapping[str, Any]) -> Credential:
    """The credential of a call. `headers`: by name in lower case.

    A header that only holds a key comes first, then `Authorization`, then headers with signatures. What is masked hides
    nothing weaker.
    """
    for name in KEY_HEADERS:
        found = credential_of_token(_text(headers.get(name)))
        if found.key:
            return found
    found = credential(_text(headers.get("authorization")))
    if found.key:
        return found
    for name, value in headers.items():
        if name.endswith(("key", "token")) and _plain(name).endswith(_KEY_HEADER_ENDINGS):
            other = credential_of_token(_text(value))
            if other.key:
                return other
    for name in _SIGNED_HEADERS:
        value = _text(headers.get(name))
        if value:
            # What RFC 9421 lists before the parameters are the parts of the request that are signed.
            return _signed(_parameters(value.partition(";")[2])) if name == "signature-input" else credential(value)
    value = _text(headers.get("signature"))
    return _signed(_parameters(value)) if value else found


def credential_of_token(text: str) -> Credential:
    """The credential in a field that holds a key and nothing else, with or without a scheme before it."""
    scheme = text.lstrip().partition(" ")[0].lower()
    if scheme == "basic" or _signs(scheme):
        return credential(text)
    token = bare_token(text)
    return NO_CREDENTIAL if is_placeholder(token) or is_web_token(token) else Credential(token, (token,))


def credential_of_query(query: str) -> Credential:
    """The credential in an address: a key, or of a signed address the id behind the signature."""
    by_name: dict[str, str] = {}
    for name, value in parse_qsl(query):
        by_name.setdefault(_plain(name), value)
    if not _SIGNATURES_OF_QUERY.isdisjoint(by_name):
        return _signed(by_name, _CREDENTIAL_IDS_OF_QUERY)
    for name, value in by_name.items():
        if name in _TOKEN_PARAMETERS or name.endswith(("apikey", "accesstoken", "accesskey")):
            found = credential_of_token(value)
            if found.key:
                return found
    return NO_CREDENTIAL


def credential(authorization: str) -> Credential:
    """The credential in the value of an `Authorization` header.

    Of `Basic` the whole pair, or the only half that is given; of a scheme that signs each request the credential's id;
    of any other scheme an opaque token.
    """
    scheme, _, rest = authorization.strip().partition(" ")
    scheme, rest = scheme.lower(), rest.strip()
    if not rest:
        return _without_scheme(authorization.strip())
    if scheme == "basic":
        return _basic(rest)
    if scheme in _CHANGING_SCHEMES or scheme.startswith("scram-"):
        return NO_CREDENTIAL
    if scheme == "hoba":
        return Credential(_parameters(rest).get("result", "").partition(".")[0])
    if scheme == "sharedaccesssignature":
        by_name = _parameters(rest)
        return Credential(" ".join(by_name[name] for name in ("sr", "skn") if by_name.get(name)))
    before, _, after = rest.partition(":")
    if after and "=" not in before and _signs(scheme):
        return Credential(before.strip())
    if _OPAQUE.fullmatch(rest) and not _signs(scheme):
        return credential_of_token(rest)
    by_name = _parameters(rest)
    if "token" in by_name and scheme in _SCHEMES:
        return credential_of_token(by_name["token"])
    return _signed(by_name) if _signs(scheme) or not _SIGNATURES.isdisjoint(by_name) else NO_CREDENTIAL


def bare_token(text: str) -> str:
    """A token without the scheme that some middlewares leave before it."""
    return _SCHEME_BEFORE_TOKEN.sub("", text.strip(), count=1)


@lru_cache(TEXTS_CACHED)
def given_key(text: str) -> tuple[str, str]:
    """(key, why it is none) of a text that a producer gives as the key."""
    token = bare_token(text)
    if is_placeholder(token):
        return "", "placeholder"
    return ("", "web_token") if is_web_token(token) else (token, "")


def is_web_token(text: str) -> bool:
    return _WEB_TOKEN.fullmatch(text) is not None


def user_and_password(text: str) -> tuple[str, str, str]:
    """(user, colon, password) of Basic credentials in either alphabet of Base64, three empty texts if they are none."""
    try:
        raw = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return "", "", ""
    try:
        decoded = raw.decode()
    except UnicodeDecodeError:
        decoded = raw.decode("latin-1")
    return decoded.partition(":") if ":" in decoded else ("", "", "")


def _basic(encoded: str) -> Credential:
    user, _, password = user_and_password(encoded)
    if is_placeholder(password):
        return NO_CREDENTIAL if is_placeholder(user) else Credential(user, (user, encoded))
    if is_placeholder(user):
        return Credential(password, (password, encoded))
    if len(password) <= 2 or password in _DUMMY_PASSWORDS:
        return Credential(f"{user}:{password}", (user, encoded))
    return Credential(f"{user}:{password}", (password, encoded), user)


def _without_scheme(text: str) -> Credential:
    # Azure Cosmos escapes its parameters as one text.
    plain = unquote(text)
    if "=" in plain and "&" in plain:
        return _signed(_parameters(plain))
    return NO_CREDENTIAL if text.lower() in _SCHEMES else credential_of_token(text)


def _signs(scheme: str) -> bool:
    """Whether a scheme signs each request, as far as its name shows."""
    return scheme in _ID_AND_SIGNATURE or _SIGNING_SCHEME.search(scheme) is not None


def _signed(by_name: Mapping[str, str], ids: tuple[str, ...] = _CREDENTIAL_IDS) -> Credential:
    """The id behind a signature. Temporary credentials of AWS live for hours and are none, like JSON Web Tokens."""
    name = next((name for name in ids if by_name.get(name)), "")
    key = by_name.get(name, "")
    if name.endswith("credential"):
        # The date and the region that it was used for follow.
        key = key.partition("/")[0]
    is_temporary = key.startswith("ASIA") and len(key) >= 16
    if is_temporary or is_placeholder(key):
        return NO_CREDENTIAL
    return Credential(key, (key,) if name in {"apikey", "key"} else ())


def _parameters(text: str) -> dict[str, str]:
    """Parameters by name, in lower case without hyphens and underscores; the first of a name counts."""
    outside = _QUOTED.sub("", text)
    mark = next((mark for mark in ",&;" if mark in outside), ",")
    found: dict[str, str] = {}
    for match in _PARAMETER[mark].finditer(text):
        found.setdefault(_plain(match[1]), match[3] if match[2] is None else match[2])
    return found


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def _text(value: Any) -> str:
    """The value of a header, of several the first."""
    if type(value) is list and value:
        value = value[0]
    return value if type(value) is str else ""
