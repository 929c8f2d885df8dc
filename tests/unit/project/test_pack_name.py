"""The pack imports under a name of the tests' own, whatever its folder is called."""

import sys


def test_pack_is_imported_relatively(repo):
    from cointeract_pack.cointeract_core import errors

    assert errors.__name__ == "cointeract_pack.cointeract_core.errors"
    assert str(repo) not in sys.path
