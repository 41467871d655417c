"""A process that signs tokens of service accounts: `python -m mini8s.app.token_signer DATA_DIR`.

A line of standard input is the claims as JSON, a line of output the token. `app.signing` starts it when
tokens are asked for and lets it go soon after: the key and `cryptography` never come into the API's memory.
"""

from __future__ import annotations

import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from mini8s.app.layout import server_files
from mini8s.wire import jwt
from mini8s.wire.codec import decode_json


def main() -> int:
    files = server_files(sys.argv[1])
    key = serialization.load_pem_private_key(files.token_key.read_bytes(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("the tokens' key is not an RSA key")
    key_id = str(decode_json(files.token_keys.read_bytes())["keys"][0]["kid"])
    for line in sys.stdin.buffer:
        text = jwt.signing_input(key_id, decode_json(line))
        signature = key.sign(text, padding.PKCS1v15(), hashes.SHA256())
        sys.stdout.buffer.write(text + b"." + jwt.encode(signature) + b"\n")
        sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
