"""Keys and tokens of the tests."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import orjson
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})


def jwks(path: Path, *keys: Key) -> Path:
    """Write the public halves of keys."""
    content = {"keys": [key.as_dict(private=False) for key in keys]}
    path.write_bytes(orjson.dumps(content))
    return path


def claims(**changed: Any) -> dict[str, Any]:
    """Return the claims of a good token; None takes one away."""
    good = {"sub": "desk", "aud": "headrace", "exp": int(time.time()) + 60, "scope": "read:*.*"}
    return {name: value for name, value in (good | changed).items() if value is not None}


def token(key: Any = ED, alg: str = "EdDSA", typ: Any = None, **changed: Any) -> str:
    """Return a signed token; it says that it is a JWT, or ``typ``."""
    header = {"alg": alg, "kid": key.kid} if getattr(key, "kid", None) else {"alg": alg}
    if typ is not None:
        header["typ"] = typ
    return jwt.encode(header, claims(**changed), key, algorithms=[alg])
