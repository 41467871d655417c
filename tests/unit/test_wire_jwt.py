"""Signatures by our arithmetic: a published example, and a library that signs."""

from __future__ import annotations

import pytest
from fakes import tokens
from hypothesis import given
from hypothesis import strategies as st

from mini8s.wire import jwt

# RFC 7515, appendix A.2
MODULUS = (
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS"
    "-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2"
    "CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9"
    "gb54h4FRWyuXpoQ"
)
TEXT = (
    b"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp"
    b"0cnVlfQ"
)
SIGNATURE = (
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUA"
    "r7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO-"
    "-xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_"
    "IoypGlUPQGe77Rw"
)


def test_the_example_of_the_rfc() -> None:
    key = jwt.Key(int.from_bytes(jwt.decode(MODULUS)), 65537)
    signature = jwt.decode(SIGNATURE)
    assert key.verifies(TEXT, signature)
    assert not key.verifies(TEXT + b"x", signature)
    assert not key.verifies(TEXT, signature[:-1] + bytes([signature[-1] ^ 1]))
    assert not key.verifies(TEXT, b"\0" + signature)
    assert not key.verifies(TEXT, b"")


def test_a_token_says_what_was_signed() -> None:
    keys = jwt.Keys(tokens.key_set())
    assert keys.claims(tokens.sign({"sub": "jane", "n": [1]})) == {"sub": "jane", "n": [1]}


@given(place=st.integers(min_value=0), letter=st.sampled_from("AZaz09-_.="))
def test_no_letter_of_it_may_change(place: int, letter: str) -> None:
    token = tokens.sign({"sub": "jane"})
    place %= len(token) - 1  # some bits of the last letter stand for nothing
    changed = token[:place] + letter + token[place + 1 :]
    if changed != token:
        with pytest.raises(jwt.BadJwt):
            jwt.Keys(tokens.key_set()).claims(changed)


@pytest.mark.parametrize(
    "text", ["", "a.b", "a.b.c", "a.b.c.d", "é.é.é", "." * 20_000, "e30.e30.", "W10.e30."]
)
def test_what_is_no_token(text: str) -> None:
    with pytest.raises(jwt.BadJwt):
        jwt.Keys(tokens.key_set()).claims(text)


def test_another_key_or_algorithm_is_not_believed() -> None:
    token = tokens.sign({"sub": "jane"})
    [key] = tokens.key_set()["keys"]
    with pytest.raises(jwt.BadJwt, match="none of our keys"):
        jwt.Keys({"keys": [key | {"kid": "other"}]}).claims(token)
    with pytest.raises(jwt.BadJwt, match="signature"):
        jwt.Keys({"keys": [key | {"n": MODULUS}]}).claims(token)
    head = jwt.encode(b'{"alg":"none","kid":"%b"}' % key["kid"].encode()).decode()
    with pytest.raises(jwt.BadJwt, match="none of our keys"):
        jwt.Keys({"keys": [key]}).claims(f"{head}.{token.split('.')[1]}.")
